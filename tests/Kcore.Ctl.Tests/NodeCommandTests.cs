using static Kcore.Ctl.Tests.FakeDaemon;

namespace Kcore.Ctl.Tests;

public sealed class NodeCommandTests
{
    [Theory]
    [InlineData("POST /v1/node/drain", "{\"undo\":false}", "drain")]
    [InlineData("POST /v1/node/drain", "{\"undo\":true}", "drain", "--undo")]
    [InlineData("POST /v1/node/leave", "{\"force\":false}", "leave")]
    [InlineData("POST /v1/node/leave", "{\"force\":true}", "leave", "--force")]
    [InlineData("POST /v1/node/reset", "{\"force\":false,\"forgetKey\":false}", "reset")]
    [InlineData("POST /v1/node/reset", "{\"force\":true,\"forgetKey\":true}", "reset", "--force", "--forget-key")]
    public void What_this_node_is_to_do_is_asked_of_it(string request, string body, params string[] words)
    {
        using var daemon = new FakeDaemon(_ => Reply("""{"verb":"left","kind":"Node","name":"node-a","node":"node-a"}"""));

        Assert.Equal((ExitCode.Done, "left Node 'node-a' on node node-a\n", ""), Kctl.Run(daemon.Path, ["node", .. words]));
        Assert.Equal([request], daemon.Requests);
        Assert.Equal(body, daemon.LastBody);
    }

    [Theory]
    [InlineData("DELETE /v1/nodes/node-c", "node-c")]
    [InlineData("DELETE /v1/nodes/node-c?force=true", "node-c", "--force")]
    public void Another_node_is_removed_by_name(string request, params string[] words)
    {
        using var daemon = new FakeDaemon(_ => Reply("""{"verb":"removed","kind":"Node","name":"node-c","node":"node-a"}"""));

        Assert.Equal((ExitCode.Done, "removed Node 'node-c' on node node-a\n", ""), Kctl.Run(daemon.Path, ["node", "remove", .. words]));
        Assert.Equal([request], daemon.Requests);
    }

    [Fact]
    public void A_WireGuard_key_is_replaced_without_another_word()
    {
        using var daemon = new FakeDaemon(_ => Reply("""{"verb":"rotated","kind":"WireGuardKey","name":"q6ur=","node":"node-a"}"""));

        Assert.Equal((ExitCode.Done, "rotated WireGuardKey 'q6ur=' on node node-a\n", ""), Kctl.Run(daemon.Path, "node", "rotate-wireguard-key"));
        Assert.Equal(["POST /v1/node/wireguard-key"], daemon.Requests);
    }

    [Fact]
    public void Removing_nobody_is_a_usage_error() => Assert.Equal(ExitCode.Usage, Kctl.Against(_ => Reply("{}"), "node", "remove").Code);
}
