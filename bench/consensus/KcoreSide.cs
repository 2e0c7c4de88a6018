using System.Diagnostics;
using System.Net.NetworkInformation;
using System.Net.Security;
using System.Security.Cryptography;
using Kcore.Contracts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Gossip.Wire.Sealing;
using Kcore.TestKit;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Consensus;

/// <summary>
/// Real kcored daemons, asked as a node asks that does not lead: a TLS stream to the leader's Raft port that stays open.
/// One operation allocates the next address of an overlay for a new attachment. What a daemon does with a lease besides
/// (mirror it into the catalog, on disk, and gossip it) is not left out.
/// </summary>
internal sealed class KcoreSide(NodeLan lan) : ISide
{
    private const int RaftPort = 7947;
    private const string Network = "crowd";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly KeyRing _ring = new(ClusterKeyFile.Read(Path.Combine(lan.Directory, "cluster.key"))!.ActiveKey.Secret);
    private readonly Guid _node = Guid.NewGuid();
    private ClusterTls? _tls;
    private ClusterRef _cluster;
    private NetworkUid _network;

    public string Name => "kcore";

    public int Count => lan.Nodes.Count;

    public async Task StartAsync()
    {
        foreach (LanNode node in lan.Nodes)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(lan.Nodes, Patience);
        await AllVoteAsync();
        LanNode first = lan.Nodes[0];
        (await first.KctlAsync("create", "network", Network, "--type", "vxlan", "--gateway-ip", "10.128.0.1", "--internal-netmask", "255.240.0.0")).OrThrow();
        StatusReport status = await first.StatusAsync();
        _cluster = new ClusterRef(Guid.Parse(status.ClusterId!), status.ClusterEpoch);
        _network = new NetworkUid(Guid.Parse((await first.DescribeNetworkAsync(Network)).Uid));
        _tls = new ClusterTls(_ring, Uid.FromGuid(_node), TimeProvider.System);
        await PoolAsync();
    }

    public async Task<int> LeaderAsync()
    {
        int leader = -1;
        await Until.SeenAsync(Patience, "a node says that it leads", async () =>
        {
            for (int i = 0; i < lan.Nodes.Count; i++)
            {
                if (lan.Nodes[i].IsRunning && (await lan.Nodes[i].StatusAsync()).Consensus.Role == "leader")
                {
                    leader = i;
                    return null;
                }
            }

            return "none";
        });
        return leader;
    }

    public int PidOf(int node) => lan.Nodes[node].Pid;

    public async Task<IWrites> ConnectAsync(int node, CancellationToken token)
    {
        var stream = new SslStream(await Dial.ConnectAsync(lan, lan.Nodes[node].Address, RaftPort, token));
        try
        {
            await stream.AuthenticateAsClientAsync(_tls!.Current.ForClient(), token);
            return new Allocations(new ProposalLane(stream), _cluster, _network, _node);
        }
        catch (Exception e)
        {
            await stream.DisposeAsync();
            throw e is OperationCanceledException ? e : new IOException(e.Message, e);
        }
    }

    public async Task KillAsync(int node) => await lan.Nodes[node].KillAsync();

    public async Task ReviveAsync(int node)
    {
        lan.Nodes[node].Start();
        await NodeLan.OneClusterAsync(lan.Nodes, Patience);
        await AllVoteAsync();
    }

    public async Task TransferAsync(int from, int to) =>
        (await lan.Nodes[from].KctlAsync("cluster", "transfer-leader", lan.Nodes[to].Name)).OrThrow();

    /// <summary>Every attachment the leader's pool holds an address for.</summary>
    public async Task<long> UsedAsync(int node) =>
        (await lan.Nodes[node].KctlAsync("get", "ips", "--network", Network, "-o", "json")).OrThrow().Read(ApiJson.Default.NetworkAddresses).Used;

    public async ValueTask DisposeAsync()
    {
        foreach (LanNode node in lan.Nodes.Where(n => n.IsRunning))
        {
            await node.KillAsync();
        }

        _tls?.Dispose();
        _ring.Dispose();
    }

    private Task AllVoteAsync() => Until.SeenAsync(Patience, "every node votes and is well", async () =>
    {
        ClusterReport report = await lan.Nodes.First(n => n.IsRunning).ClusterAsync();
        return report is { Source: "leader", Changing: false } && report.Voters.Length == Count && report.Voters.All(v => v.State == "ok")
            ? null
            : $"{report.Source}: {string.Join(", ", report.Voters.Select(v => $"{v.Name} {v.State}"))}";
    });

    private async Task PoolAsync()
    {
        int leader = await LeaderAsync();
        await using IWrites writes = await ConnectAsync(leader, default);
        for (long begun = Stopwatch.GetTimestamp(); ; await Task.Delay(50))
        {
            try
            {
                await writes.WriteAsync(default);
                return;
            }
            catch (IOException) when (Stopwatch.GetElapsedTime(begun) < Patience)
            {
                // The pool follows the network through the log.
            }
        }
    }

    private sealed class Allocations(ProposalLane lane, ClusterRef cluster, NetworkUid network, Guid node) : IWrites
    {
        public bool IsBroken => lane.IsBroken;

        public async Task WriteAsync(CancellationToken token)
        {
            Guid attachment = Guid.NewGuid();
            byte[] mac = RandomNumberGenerator.GetBytes(6);
            mac[0] = 0x02;
            byte[] command = CommandCodec.Encode(new ReplicatedCommand.Allocate(
                new AttachmentId(attachment), network, "nic-" + attachment.ToString("N")[..8], new PhysicalAddress(mac), node, null));
            LedgerReply reply = await lane.AskAsync(new LedgerRequest(cluster, command), token);
            if (reply.Failure is not null
                || !ResultCodec.TryDecode(reply.Result.Span, out ReplicatedResult? result)
                || result is not ReplicatedResult.Granted)
            {
                throw new IOException($"no address: {reply.Failure} {reply.Text}");
            }
        }

        public ValueTask DisposeAsync() => lane.DisposeAsync();
    }
}
