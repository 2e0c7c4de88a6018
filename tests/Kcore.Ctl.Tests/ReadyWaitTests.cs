using System.Text.Json;
using static Kcore.Ctl.Tests.FakeDaemon;

namespace Kcore.Ctl.Tests;

public sealed class ReadyWaitTests
{
    private static readonly string[] Create = ["create", "network", "private", "--type", "vxlan", "--wait"];

    [Fact]
    public void It_returns_when_every_node_is_ready_and_names_what_it_waited_for()
    {
        int asked = 0;
        (ExitCode code, string output, string error) = Kctl.Against(
            Answer(() => ++asked switch
            {
                1 => Samples.Network("", withB: false),
                2 => Samples.Network("Pending"),
                _ => Samples.Network("Ready"),
            }),
            Create);
        Assert.Equal(ExitCode.Done, code);
        Assert.Equal("created Network 'private' on node node-a\n  node-a (vtep: 10.0.0.1) Ready\n  node-b (vtep: 10.0.0.2) Ready\n", output);
        Assert.Equal("waiting for node-b: has not heard of it yet (1 of 2 ready, 0 s)\nwaiting for node-b: Pending (1 of 2 ready, 0 s)\n", error);
    }

    [Fact]
    public void It_gives_up_with_7_and_says_that_the_change_stands()
    {
        (ExitCode code, string output, string error) = Kctl.Against(Answer(() => Samples.Network("Failed")), [.. Create, "--timeout", "2s"]);
        Assert.Equal(ExitCode.TimedOut, code);
        Assert.Contains("created Network", output, StringComparison.Ordinal);
        Assert.Contains("was created but is not ready everywhere after 2 s\n  node-b: Failed\n", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Nobody_waits_for_the_dead_but_the_outcome_is_partial() =>
        Assert.Equal(ExitCode.Partial, Kctl.Against(Answer(() => Samples.Network("Pending", "dead")), Create).Code);

    [Fact]
    public void Json_is_the_receipt_with_its_nodes()
    {
        string output = Kctl.Against(Answer(() => Samples.Network("Ready")), [.. Create, "-o", "json"]).Out;
        using JsonDocument document = JsonDocument.Parse(output);
        Assert.Equal(["verb", "kind", "name", "node", "nodes"], document.RootElement.EnumerateObject().Select(p => p.Name));
    }

    [Fact]
    public void An_interruption_is_130_and_says_that_the_change_stands()
    {
        using var daemon = new FakeDaemon(Answer(() => Samples.Network("Pending")));
        Action? interrupt = null;
        using var kctl = new Kctl { OnPause = () => interrupt!() };
        interrupt = kctl.Interrupt.Cancel;
        Assert.Equal(ExitCode.Interrupted, kctl.Invoke(daemon.Path, Create));
        Assert.Contains("was created and stays", kctl.Error, StringComparison.Ordinal);
    }

    private static Func<string, byte[]> Answer(Func<string> network) => line => Reply(line switch
    {
        "POST /v1/networks" => Samples.Receipt,
        "GET /v1/nodes" => Samples.Nodes,
        _ => network(),
    });
}
