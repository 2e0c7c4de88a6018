using Kcore.TestKit;
using Kcore.TestKit.Lan;

namespace Kcore.SystemTests.Lab;

/// <summary>One LAN of three nodes in one cluster, shared by the tests that leave it as they found it.</summary>
public sealed class ThreeNodes : IAsyncLifetime
{
    public const string Name = "three nodes";

    private NodeLan? _lan;
    private int _subnet = 100;

    public NodeLan Lan => _lan ?? throw new InvalidOperationException("ReadyAsync comes first");

    public LanNode A => Lan.Nodes[0];

    public LanNode B => Lan.Nodes[1];

    public LanNode C => Lan.Nodes[2];

    public Task InitializeAsync() => Task.CompletedTask;

    /// <summary>Makes the LAN at first use, and afterwards puts back what a failed test left down.</summary>
    public async Task ReadyAsync()
    {
        Requires.Kernel();
        _lan ??= await NodeLan.CreateAsync(3);
        await _lan.HealAsync();
        foreach (LanNode node in _lan.Nodes)
        {
            node.Resume();
            if (!node.IsRunning)
            {
                node.Start(new DaemonSettings { Mdns = true });
            }
        }

        await NodeLan.OneClusterAsync(_lan.Nodes, TimeSpan.FromSeconds(60));

        // What the test before has deleted may still be on its way out of a kernel, and this one compares with what it finds.
        foreach (LanNode node in _lan.Nodes)
        {
            await Until.SeenAsync(TimeSpan.FromSeconds(20), $"nothing is left to do on {node.Name}", async () =>
                await node.KctlAsync("plan") is { ExitCode: not 0 } plan ? plan.ToString() : null);
        }
    }

    /// <summary>A subnet no other test uses: the part before the last number.</summary>
    public string NextSubnet() => $"10.{_subnet++}.0";

    public async Task DisposeAsync()
    {
        if (_lan is not null)
        {
            await _lan.DisposeAsync();
        }
    }
}

[CollectionDefinition(ThreeNodes.Name)]
public sealed class ThreeNodesDefinition : ICollectionFixture<ThreeNodes>;
