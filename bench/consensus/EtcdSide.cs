using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Consensus;

/// <summary>
/// Real etcd of the distribution with its defaults, on the same hosts and disk. One operation puts a record as long as an
/// allocation under a new key: less than an allocator on etcd needs (a transaction that compares its cursor), and without
/// TLS. Both differences are in etcd's favour.
/// </summary>
internal sealed class EtcdSide(NodeLan lan) : ISide
{
    private const int ClientPort = 2379;
    private const int PeerPort = 2380;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Dictionary<int, BackgroundProcess> _processes = [];

    public string Name => "etcd";

    public int Count => lan.Nodes.Count;

    private string Endpoints => string.Join(',', lan.Nodes.Select(n => $"http://{n.Address}:{ClientPort}"));

    public async Task StartAsync()
    {
        for (int i = 0; i < Count; i++)
        {
            Start(i, "new");
        }

        await HealthyAsync();
    }

    public async Task<int> LeaderAsync()
    {
        int leader = -1;
        await Until.SeenAsync(Patience, "an etcd member leads", async () =>
        {
            foreach (int node in _processes.Where(p => !p.Value.HasExited).Select(p => p.Key))
            {
                CommandResult told = await CtlAsync($"http://{lan.Nodes[node].Address}:{ClientPort}", "endpoint", "status", "-w", "json");
                JsonNode? status = told.ExitCode == 0 ? JsonNode.Parse(told.Stdout)?[0]?["Status"] : null;
                if (status is not null && (ulong)status["leader"]! == (ulong)status["header"]!["member_id"]!)
                {
                    leader = node;
                    return null;
                }
            }

            return "none";
        });
        return leader;
    }

    public int PidOf(int node) => _processes[node].Pid;

    public async Task<IWrites> ConnectAsync(int node, CancellationToken token) =>
        new Puts(await GrpcConnection.OpenAsync(await Dial.ConnectAsync(lan, lan.Nodes[node].Address, ClientPort, token), token));

    public async Task KillAsync(int node)
    {
        _processes[node].Signal(Signal.Kill);
        await _processes[node].WaitForExitAsync();
    }

    public async Task ReviveAsync(int node)
    {
        await _processes[node].DisposeAsync();
        Start(node, "existing");
        await HealthyAsync();
    }

    public async Task TransferAsync(int from, int to)
    {
        JsonNode members = JsonNode.Parse((await CtlAsync(Endpoints, "member", "list", "-w", "json")).OrThrow().Stdout)!;
        ulong id = (ulong)members["members"]!.AsArray().Single(m => (string?)m!["name"] == lan.Nodes[to].Name)!["ID"]!;
        (await CtlAsync($"http://{lan.Nodes[from].Address}:{ClientPort}", "move-leader", id.ToString("x", CultureInfo.InvariantCulture))).OrThrow();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (BackgroundProcess process in _processes.Values)
        {
            await process.DisposeAsync();
        }
    }

    private void Start(int index, string state)
    {
        LanNode node = lan.Nodes[index];
        string directory = Path.Combine(node.Directory, "etcd");
        Directory.CreateDirectory(directory);
        _processes[index] = BackgroundProcess.Start(
            "ip",
            [
                "netns", "exec", node.Namespace, EtcdPrograms.Server,
                "--name", node.Name,
                "--data-dir", Path.Combine(directory, "data"),
                "--listen-client-urls", $"http://{node.Address}:{ClientPort}",
                "--advertise-client-urls", $"http://{node.Address}:{ClientPort}",
                "--listen-peer-urls", $"http://{node.Address}:{PeerPort}",
                "--initial-advertise-peer-urls", $"http://{node.Address}:{PeerPort}",
                "--initial-cluster", string.Join(',', lan.Nodes.Select(n => $"{n.Name}=http://{n.Address}:{PeerPort}")),
                "--initial-cluster-state", state,
                "--log-level", "warn",
            ],
            Path.Combine(directory, "etcd.log"));
    }

    private Task HealthyAsync() => Until.SeenAsync(Patience, "every etcd member is healthy", async () =>
    {
        CommandResult told = await CtlAsync(Endpoints, "endpoint", "health");
        return told.ExitCode == 0 ? null : told.Stderr;
    });

    private Task<CommandResult> CtlAsync(string endpoints, params IReadOnlyList<string> arguments) => Command.RunAsync(
        "ip",
        ["netns", "exec", lan.Switch, EtcdPrograms.Control, "--endpoints", endpoints, "--command-timeout", "2s", .. arguments],
        new Dictionary<string, string>(StringComparer.Ordinal) { ["ETCDCTL_API"] = "3" });

    private sealed class Puts(GrpcConnection connection) : IWrites
    {
        public bool IsBroken => connection.IsBroken;

        // What an Allocate command takes in Kcore's log.
        private const int ValueBytes = 96;

        // etcd's rpc.proto: PutRequest { bytes key = 1; bytes value = 2; }.
        public Task WriteAsync(CancellationToken token)
        {
            byte[] key = Encoding.ASCII.GetBytes("/leases/" + Guid.NewGuid().ToString("N"));
            byte[] message = [0x0A, (byte)key.Length, .. key, 0x12, ValueBytes, .. RandomNumberGenerator.GetBytes(ValueBytes)];
            return connection.CallAsync("/etcdserverpb.KV/Put", message, token);
        }

        public ValueTask DisposeAsync() => connection.DisposeAsync();
    }
}
