using static Kcore.Ctl.Tests.FakeDaemon;

namespace Kcore.Ctl.Tests;

public sealed class ClusterCommandTests
{
    [Fact]
    public void Keys_are_shown_with_who_holds_and_uses_them()
    {
        (ExitCode code, string output, _) = Kctl.Against(_ => Reply(Samples.Keys), "cluster", "keys");

        Assert.Equal(ExitCode.Done, code);
        Assert.Equal(
            """
            KEY       GENERATION  STATE     HELD BY  USED BY  ACTIVE SINCE                 RETIRES
            885b6818           0  retiring        2        0  -                            2026-11-22T15:35:32.000000Z
            93ee502d           1  active          2        2  2026-11-21T15:35:32.000000Z  -

            NODE              STATUS    HOLDS              USES
            node-a            alive     885b6818 93ee502d  93ee502d
            node-b            dead      -                  -
            note: node node-b is dead

            """,
            output);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"retireAfterSeconds\":90}", "--retire-after", "90s")]
    [InlineData("{\"retireAfterSeconds\":2592000}", "--retire-after", "720h")]
    public void A_rotation_is_asked_for_with_its_overlap(string body, params string[] flags)
    {
        using var daemon = new FakeDaemon(_ => Reply(Samples.Keys));

        Assert.Equal(ExitCode.Done, Kctl.Run(daemon.Path, ["cluster", "rotate-key", .. flags]).Code);
        Assert.Equal(["POST /v1/cluster/keys"], daemon.Requests);
        Assert.Equal(body, daemon.LastBody);
    }

    [Fact]
    public void An_overlap_that_is_none_is_refused_before_anybody_is_asked()
    {
        (ExitCode code, _, string error) = Kctl.Against(_ => Reply(Samples.Keys), "cluster", "rotate-key", "--retire-after", "800h");

        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains("720h", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_token_is_printed_alone_and_handed_on_as_it_is()
    {
        Assert.Equal("kcore1-abc\n", Kctl.Against(_ => Reply("""{"token":"kcore1-abc"}"""), "cluster", "token").Out);
        using var daemon = new FakeDaemon(_ => Reply("""{"verb":"joining","kind":"Cluster","name":"c1","node":"node-a"}"""));

        (ExitCode code, string output, _) = Kctl.Run(daemon.Path, "cluster", "join", " kcore1-abc ");
        Assert.Equal((ExitCode.Done, "joining Cluster 'c1' on node node-a\n"), (code, output));
        Assert.Equal("""{"token":"kcore1-abc"}""", daemon.LastBody);
        Assert.Equal(ExitCode.Usage, Kctl.Run(daemon.Path, "cluster", "join").Code);
    }

    [Fact]
    public void Neighbours_are_listed_with_whose_they_are()
    {
        (_, string output, _) = Kctl.Against(_ => Reply(Samples.Neighbours), "discover");

        Assert.Equal(
            """
            ID        ADDRESS           KEY               OURS   CLUSTER   HEARD
            bbbbbbbb  10.0.0.2          8899aabbccddeeff  no     01234567  2026-11-21T15:35:32.000000Z

            """,
            output);
    }
}
