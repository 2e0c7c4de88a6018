using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Consensus;

/// <summary>A LAN of its own whose daemons are voters, with one overlay to allocate from.</summary>
internal sealed class VoterCluster : IAsyncDisposable
{
    private const string Subnet = "10.90.0";
    private int _nics;

    private readonly ITestOutputHelper _output;

    private VoterCluster(NodeLan lan, ITestOutputHelper output)
    {
        Lan = lan;
        _output = output;
    }

    public const string Network = "crowd";

    public NodeLan Lan { get; }

    /// <summary>What clients were told: NIC to address.</summary>
    public Dictionary<string, string> Told { get; } = new(StringComparer.Ordinal);

    public IEnumerable<LanNode> Running => Lan.Nodes.Where(n => n.IsRunning);

    /// <summary>Starts the daemons and waits for the voters that so many nodes should have.</summary>
    public static async Task<VoterCluster> StartAsync(int nodes, int voters, ITestOutputHelper output)
    {
        Requires.Kernel();
        VoterCluster cluster = new(await NodeLan.CreateAsync(nodes), output);
        try
        {
            foreach (LanNode node in cluster.Lan.Nodes)
            {
                node.Start();
            }

            await NodeLan.OneClusterAsync(cluster.Lan.Nodes, TimeSpan.FromSeconds(60));
            await cluster.VotersAsync(voters);
            (await cluster.Lan.Nodes[0].KctlAsync(
                "create", "network", Network, "--gateway-ip", Subnet + ".1", "--internal-netmask", "255.255.252.0", "--type", "vxlan")).OrThrow();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until the leader says that so many vote and all of them are well.</summary>
    public Task<TimeSpan> VotersAsync(int count, TimeSpan? within = null) => Until.SeenAsync(
        within ?? TimeSpan.FromSeconds(60),
        $"{count} voters, all of them well",
        async () =>
        {
            ClusterReport report = await Running.First().ClusterAsync();
            return report is { Source: "leader", Changing: false } && report.Voters.Length == count && report.Voters.All(v => v.State == "ok")
                ? null
                : $"source {report.Source}, voters {string.Join(", ", report.Voters.Select(v => $"{v.Name} {v.State} lag {v.Lag}"))}; learners {string.Join(", ", report.Learners.Select(v => v.Name))}";
        });

    public async Task<LanNode> LeaderAsync()
    {
        string? name = null;
        await Until.SeenAsync(TimeSpan.FromSeconds(30), "a leader is known", async () =>
        {
            // A node that was left behind may still name the old one, so the leader itself must say so.
            foreach (LanNode node in Running)
            {
                if ((await node.StatusAsync()).Consensus.Role == "leader")
                {
                    name = node.Name;
                    return null;
                }
            }

            return "no node says that it leads";
        });
        return Lan.Nodes.Single(n => n.Name == name);
    }

    /// <summary>Attaches one TAP; what was told is kept.</summary>
    public async Task<KctlResult> AttachAsync(LanNode node, string? nic = null)
    {
        nic ??= $"n{Interlocked.Increment(ref _nics):000}";
        KctlResult result = await node.KctlAsync("attach", "nic", nic, "--network", Network, "-o", "json");
        if (result.ExitCode == 0)
        {
            lock (Told)
            {
                Told[nic] = result.Read(ApiJson.Default.NicInfo).Address!;
            }
        }

        return result;
    }

    /// <summary>Attaches until it succeeds and gives how long that took from the given moment.</summary>
    public async Task<TimeSpan> UntilAttachedAsync(LanNode node, long since)
    {
        while (true)
        {
            KctlResult result = await AttachAsync(node);
            if (result.ExitCode == 0)
            {
                return Stopwatch.GetElapsedTime(since);
            }

            if (Stopwatch.GetElapsedTime(since) > TimeSpan.FromSeconds(60))
            {
                throw new NotInTimeException($"Expected an address within a minute: {result}");
            }
        }
    }

    /// <summary>What clients were told is still so, on the node that hosts the NIC, and nobody has another's address.</summary>
    public async Task NoDuplicatesAsync()
    {
        List<NicInfo> nics = [];
        foreach (LanNode node in Running)
        {
            nics.AddRange((await node.NicsAsync(Network)).Where(n => n.Node == node.Name && n.Address is not null));
        }

        string[] twice = [.. nics.GroupBy(n => n.Address, StringComparer.Ordinal).Where(g => g.Count() > 1).Select(g => $"{g.Key}: {string.Join(", ", g.Select(n => n.Name))}")];
        Assert.Empty(twice);
        Assert.All(nics, n => Assert.True(IPNetwork.Parse(Subnet + ".0/22").Contains(IPAddress.Parse(n.Address!.Split('/')[0])), n.Address));
        ImmutableArray<string> changed = [.. nics.Where(n => Told.TryGetValue(n.Name, out string? told) && told != n.Address).Select(n => $"{n.Name} was told {Told[n.Name]} and has {n.Address}")];
        Assert.Empty(changed);
        string[] told = [.. Told.Values];
        Assert.Equal(told.Length, told.Distinct(StringComparer.Ordinal).Count());
    }

    public ValueTask DisposeAsync()
    {
        foreach (LanNode node in Lan.Nodes)
        {
            _output.WriteLine($"--- {node.Name}");
            _output.WriteLine(node.LogTail(40));
        }

        return Lan.DisposeAsync();
    }
}
