using System.Collections.Concurrent;
using System.Diagnostics;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Netlink.Namespaces;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>
/// Network namespaces of this test run: nodes on one underlay, and guests. Everything goes with them.
/// </summary>
internal sealed class KernelLab : IAsyncDisposable
{
    private readonly string _prefix = $"kdt{Environment.ProcessId:x}{Random.Shared.Next(0x1000):x}";
    private readonly List<string> _namespaces = [];
    private readonly List<LabNode> _nodes = [];

    public KernelLab()
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "making network namespaces takes root");
        Skip.IfNot(File.Exists("/dev/net/tun"), "there is no /dev/net/tun");
        Underlay = AddNamespace("lan");
        Ip(Underlay, "link add br0 type bridge");
        Ip(Underlay, "link set br0 up");
        Folder = Directory.CreateTempSubdirectory(_prefix).FullName;
    }

    public string Underlay { get; }

    public string Folder { get; }

    public string AddNamespace(string name)
    {
        string full = $"{_prefix}-{name}";
        Run("ip", $"netns add {full}");
        _namespaces.Add(full);
        return full;
    }

    public void DeleteNamespace(string name)
    {
        Run("ip", $"netns del {name}");
        _namespaces.Remove(name);
    }

    public LabNode AddNode(int number)
    {
        string ns = AddNamespace($"n{number}");
        Ip(Underlay, $"link add p{number} type veth peer name eth0 netns {ns}");
        Ip(Underlay, $"link set p{number} master br0 up");
        Ip(ns, "link set lo up");
        Ip(ns, $"addr add {Intents.Vtep(number)}/24 dev eth0");
        Ip(ns, "link set eth0 up");
        Run("ip", $"netns exec {ns} sysctl -qw net.ipv4.ip_forward=0");
        LabNode node = new(ns, number, Path.Combine(Folder, $"n{number}.json"));
        _nodes.Add(node);
        return node;
    }

    public static string Ip(string ns, string arguments) => Run("ip", $"-n {ns} {arguments}");

    public static string In(string ns, string command) => Run("ip", $"netns exec {ns} {command}");

    public static string Run(string program, string arguments)
    {
        (int code, string output, string error) = TryRun(program, arguments);
        Assert.True(code == 0, $"{program} {arguments}: {error}");
        return output;
    }

    public static (int Code, string Output, string Error) TryRun(string program, string arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    public static async Task UntilAsync(Func<bool> condition, string what, int seconds = 10)
    {
        Stopwatch watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(seconds), $"not within {seconds} s: {what}");
            await Task.Delay(2);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (LabNode node in _nodes)
        {
            await node.StopAsync();
        }

        foreach (string ns in _namespaces)
        {
            TryRun("ip", $"netns del {ns}");
        }

        if (Folder is not null)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }
}

/// <summary>A node of the lab with its own data plane loop, which can be stopped and started like a daemon.</summary>
internal sealed class LabNode(string ns, int number, string journal) : IDataplaneObserver
{
    private readonly CancellationTokenSource _stop = new();
    private CancellationTokenSource? _running;
    private Task _loop = Task.CompletedTask;
    private int _passes;

    public string Namespace => ns;

    public int Number => number;

    public DataplaneLoop Loop { get; private set; } = null!;

    public ConcurrentQueue<DriftRepair> Repairs { get; } = new();

    public int Passes => Volatile.Read(ref _passes);

    public NodeIntent Self => new()
    {
        Name = $"node-{number}",
        Uid = (UInt128)number,
        Vtep = Intents.Vtep(number),
        EgressInterface = "eth0",
        UnderlayMtu = 1500,
    };

    public void Start()
    {
        _running = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        Loop = new DataplaneLoop(
            new HomeNamespace(NetworkNamespace.Named(ns)), SysctlJournal.Open(journal), UplinkJournal.Open(journal + ".uplinks"), this,
            TimeProvider.System, new Random(1), NullLogger<DataplaneLoop>.Instance);
        _loop = Loop.RunAsync(_running.Token);
    }

    public async Task StopAsync()
    {
        if (_running is not null)
        {
            await _running.CancelAsync();
            await _loop;
            _running = null;
        }
    }

    /// <summary>Sets the intent and waits for the pass that saw it.</summary>
    public Task ConvergeAsync(params OverlayIntent[] overlays) =>
        ConvergeAsync(new DataplaneIntent(Self, [.. overlays], [Intents.Vtep(1), Intents.Vtep(2), Intents.Vtep(3)]));

    /// <inheritdoc cref="ConvergeAsync(OverlayIntent[])"/>
    public async Task ConvergeAsync(DataplaneIntent intent)
    {
        int before = Passes;
        Loop.Intend(intent);
        await KernelLab.UntilAsync(() => Passes > before, "a pass");
        // A pass for a notification may have come between; then the next one sees the intent.
        string plan = (await Loop.PlanAsync(CancellationToken.None)).Text;
        for (int look = 0; look < 100 && !IsDone(plan); look++)
        {
            await Task.Delay(50);
            plan = (await Loop.PlanAsync(CancellationToken.None)).Text;
        }

        Assert.True(IsDone(plan), plan);

        static bool IsDone(string plan) =>
            plan.StartsWith("Plan: 0 to add, 0 to change, 0 to remove", StringComparison.Ordinal) || plan.StartsWith("note:", StringComparison.Ordinal) || plan.StartsWith('!');
    }

    public void DriftRepaired(DriftRepair repair) => Repairs.Enqueue(repair);

    public void Reconciled(ReconcileStatus status) => Interlocked.Increment(ref _passes);

    public static OverlayIntent Overlay(params LocalNicIntent[] nics) => Intents.Prod with { Peers = [], RemoteNics = [], LocalNics = [.. nics] };

    public static PeerIntent Peer(int node) => new(Intents.Vtep(node), $"node-{node}", (UInt128)node);
}
