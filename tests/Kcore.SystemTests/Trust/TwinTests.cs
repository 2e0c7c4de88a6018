using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Trust;

/// <summary>A node was copied, disk and machine id, and both run.</summary>
public sealed class TwinTests(ITestOutputHelper output)
{
    [SkippableTheory]
    [InlineData(true, 1)]
    [InlineData(false, 1)]
    [InlineData(false, 2)]
    public Task Of_two_nodes_with_one_identity_one_becomes_a_new_node_and_the_other_keeps_all(bool mdns, int starts) => OwnLan.OnAsync(4, output, async lan =>
    {
        LanNode[] three = [.. lan.Nodes.Take(3)];
        LanNode original = lan.Nodes[2], copy = lan.Nodes[3];
        DaemonSettings settings = new() { Mdns = mdns, Join = mdns ? [] : [lan.Nodes[0].Address] };
        foreach (LanNode node in three)
        {
            node.Start(settings);
        }

        await NodeLan.OneClusterAsync(three, TimeSpan.FromSeconds(60));
        string id = (await original.StatusAsync()).NodeId;
        await original.TerminateAsync();
        (await Command.RunAsync("cp", ["-a", original.DataDirectory, copy.Directory])).OrThrow();

        // The more often it starts before the copy does, the surer the others take what the copy says for old.
        for (int start = 1; start <= starts; start++)
        {
            if (start > 1)
            {
                await original.TerminateAsync();
            }

            original.Start(settings);
            await NodeLan.OneClusterAsync(three, TimeSpan.FromSeconds(60));
        }

        copy.Start(settings);
        TimeSpan took = await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        output.WriteLine($"four nodes {took.TotalSeconds:0.0} s after the copy was started");

        // The one that keeps all may start once more: to the others the copy's start is the later one.
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "one has the identity, the other a new one, and the conflict was told", async () =>
        {
            string[] ids = [(await original.StatusAsync()).NodeId, (await copy.StatusAsync()).NodeId];
            bool isTold = (await original.EventsAsync()).Concat(await copy.EventsAsync())
                .Any(e => e.Type == "Conflict" && e.Message.Contains("identity", StringComparison.Ordinal));
            return ids.Contains(id) && ids[0] != ids[1] && isTold ? null : $"{ids[0]} and {ids[1]}, told: {isTold}";
        });
        Assert.True(original.IsRunning && copy.IsRunning);
    });
}
