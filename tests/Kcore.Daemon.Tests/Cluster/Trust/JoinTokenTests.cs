using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Tests.Cluster.Trust;

public sealed class JoinTokenTests
{
    private static readonly Guid Cluster = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");

    [Theory]
    [InlineData(0u)]
    [InlineData(7u)]
    public void A_token_reads_back(uint generation)
    {
        JoinToken token = Make(generation);
        string text = token.Print();

        Assert.Matches("^kcore1-[a-z2-7]{90}$", text);
        foreach (string spelling in (string[])[text, $"  {text}\n", text.ToUpperInvariant()])
        {
            Assert.True(JoinToken.TryParse(spelling, out JoinToken? read));
            Assert.Equal((Cluster, generation), (read.Cluster, read.Key.Generation));
            Assert.True(read.Key.Secret.HasSameBytes(token.Key.Secret));
        }
    }

    [Fact]
    public void Any_wrong_character_and_any_other_length_is_noticed()
    {
        string text = Make(1).Print();
        for (int i = 0; i < text.Length; i++)
        {
            string wrong = text[..i] + (text[i] == 'q' ? 'r' : 'q') + text[(i + 1)..];
            Assert.False(JoinToken.TryParse(wrong, out _), $"character {i}");
            Assert.False(JoinToken.TryParse(text[..i], out _));
        }

        Assert.False(JoinToken.TryParse(text + "a", out _));
        Assert.False(JoinToken.TryParse("", out _));
    }

    [Fact]
    public void Printed_for_a_log_a_token_says_nothing_secret() => Assert.DoesNotContain("kcore1-", Make(1).ToString(), StringComparison.Ordinal);

    private static JoinToken Make(uint generation) => new(
        new RingKey(generation, new ClusterSecret([.. Enumerable.Range(0, 32).Select(i => (byte)(i * 7))]), RingKey.DefaultOverlap, null), Cluster);
}
