using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Kcore.Contracts;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Lan;

/// <summary>How one daemon is started.</summary>
public sealed record DaemonSettings
{
    /// <summary>Discovery by mDNS; without it only <see cref="Join"/> finds the cluster.</summary>
    public bool Mdns { get; init; } = true;

    /// <summary>False: the node starts with no key and makes its own.</summary>
    public bool SharedKey { get; init; } = true;

    /// <summary>64 hexadecimal digits to start with instead of the LAN's key.</summary>
    public string? Key { get; init; }

    /// <summary>The node has the network 'default' of its own.</summary>
    public bool DefaultNetwork { get; init; }

    public ImmutableArray<string> Join { get; init; } = [];

    public ImmutableArray<string> Extra { get; init; } = [];

    public string LogLevel { get; init; } = "Information";
}

/// <summary>One host of the lab: a network namespace, a state directory and a daemon.</summary>
public sealed class LanNode : IAsyncDisposable
{
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(10);

    private readonly string _sharedKey;
    private BackgroundProcess? _daemon;

    internal LanNode(string name, string netns, string address, string directory, string sharedKey)
    {
        Name = name;
        Namespace = netns;
        Address = address;
        Directory = directory;
        _sharedKey = sharedKey;
    }

    public string Name { get; }

    public string Namespace { get; }

    public string Address { get; }

    public string Directory { get; }

    public string DataDirectory => Path.Combine(Directory, "data");

    public string Socket => Path.Combine(Directory, "kcored.sock");

    /// <summary>The node's own copy of the key: a daemon rewrites its file when keys are rotated.</summary>
    public string KeyPath => Path.Combine(Directory, "cluster.key");

    public string LogPath => Path.Combine(Directory, "kcored.log");

    public bool IsRunning => _daemon is { HasExited: false };

    public int Pid => _daemon?.Pid ?? throw new InvalidOperationException($"{Name} was never started");

    /// <summary>What the daemon was last started with.</summary>
    public DaemonSettings Settings { get; private set; } = new();

    /// <summary>Starts the daemon; it is not waited for.</summary>
    public void Start(DaemonSettings? settings = null)
    {
        if (IsRunning)
        {
            throw new InvalidOperationException($"{Name} runs already (pid {Pid})");
        }

        Settings = settings ?? Settings;
        System.IO.Directory.CreateDirectory(DataDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (!File.Exists(KeyPath) && (Settings.SharedKey || Settings.Key is not null))
        {
            File.WriteAllText(KeyPath, Settings.Key ?? File.ReadAllText(_sharedKey));
            File.SetUnixFileMode(KeyPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        List<string> arguments =
        [
            "netns", "exec", Namespace, Binaries.Daemon,
            "--supervisor", "process",
            "--data-dir", DataDirectory,
            "--socket", Socket,
            "--node-name", Name,
            "--cluster-key-file", KeyPath,
            "--discovery", Settings.Mdns ? "mdns" : "off",
            "--log-level", Settings.LogLevel,
        ];
        if (!Settings.DefaultNetwork)
        {
            arguments.Add("--no-default-network");
        }

        if (!Settings.Join.IsEmpty)
        {
            arguments.AddRange(["--join", string.Join(',', Settings.Join)]);
        }

        arguments.AddRange(Settings.Extra);
        _daemon = BackgroundProcess.Start("ip", arguments, LogPath);
    }

    public void Pause() => _daemon!.Signal(Signal.Stop);

    public void Resume() => _daemon?.Signal(Signal.Continue);

    /// <summary>SIGKILL; returns when the process is gone.</summary>
    public Task KillAsync() => EndAsync(Signal.Kill);

    /// <summary>SIGTERM; returns the exit code once the process is gone.</summary>
    public Task<int> TerminateAsync() => EndAsync(Signal.Terminate);

    /// <summary>Waits until the daemon answers.</summary>
    public Task<TimeSpan> AnswersAsync(TimeSpan? within = null) => Until.SeenAsync(
        within ?? TimeSpan.FromSeconds(15),
        $"{Name} answers kctl status as a member",
        async () =>
        {
            if (!IsRunning)
            {
                throw new InvalidOperationException($"The daemon of {Name} has ended. Its last words:\n{LogTail(40)}");
            }

            StatusReport status = await StatusAsync();
            return status.Phase == "member" ? null : $"phase {status.Phase}";
        });

    public async Task<KctlResult> KctlAsync(params IReadOnlyList<string> arguments) => new(await Command.RunAsync(
        Binaries.Ctl,
        arguments,
        new Dictionary<string, string>(StringComparer.Ordinal) { ["KCORE_SOCKET"] = Socket, ["NO_COLOR"] = "1" }));

    // Asked again and again by nearly every wait: a process for each would take more of the processors than the daemons do.
    public Task<StatusReport> StatusAsync() => AskAsync(api => api.StatusAsync());

    public Task<ClusterReport> ClusterAsync() => AskAsync(api => api.ClusterAsync());

    public async Task<ClusterKeys> KeysAsync() =>
        (await KctlAsync("cluster", "keys", "-o", "json")).OrThrow().Read(ApiJson.Default.ClusterKeys);

    public Task<ImmutableArray<NicInfo>> NicsAsync(string network) => AskAsync(api => api.NicsAsync(network));

    public async Task<NetworkDetail> DescribeNetworkAsync(string network) =>
        (await KctlAsync("describe", "network", network, "-o", "json")).OrThrow().Read(ApiJson.Default.NetworkDetail);

    /// <summary>The events this node has recorded after the given sequence number.</summary>
    public Task<ImmutableArray<EventInfo>> EventsAsync(long after = 0) => AskAsync(api => api.EventsAsync(after));

    public async Task<long> LastEventAsync() => (await EventsAsync()).Select(e => e.Sequence).DefaultIfEmpty(0).Max();

    private async Task<T> AskAsync<T>(Func<NodeApi, Task<T>> ask)
    {
        using NodeApi api = new(Socket, AnswerPatience);
        try
        {
            return await ask(api);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException)
        {
            throw new NodeSilentException($"{Name} does not answer: {e.Message}", e);
        }
    }

    /// <summary>Resident memory of the daemon, bytes.</summary>
    public async Task<long> ResidentBytesAsync()
    {
        string line = (await File.ReadAllLinesAsync($"/proc/{Pid}/status")).Single(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>Processor time the daemon has used since its start.</summary>
    public async Task<TimeSpan> ProcessorTimeAsync()
    {
        string stat = await File.ReadAllTextAsync($"/proc/{Pid}/stat");
        // Fields 14 and 15 (utime, stime; proc(5)), counted after the name, in ticks of 10 ms.
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        long ticks = long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        return TimeSpan.FromMilliseconds(ticks * 10);
    }

    /// <summary>The process of the encrypted mesh; 0 when there is none.</summary>
    public async Task<int> TunnelPidAsync()
    {
        CommandResult pids = await Command.RunAsync("ip", ["netns", "pids", Namespace]);
        foreach (string pid in pids.Stdout.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            try
            {
                string[] arguments = Encoding.UTF8.GetString(await File.ReadAllBytesAsync($"/proc/{pid.Trim()}/cmdline")).Split('\0');
                if (Path.GetFileName(arguments[0]) == "wireguard-go")
                {
                    return int.Parse(pid, CultureInfo.InvariantCulture);
                }
            }
            catch (IOException)
            {
                // It has just ended.
            }
        }

        return 0;
    }

    public string LogTail(int lines) =>
        File.Exists(LogPath) ? string.Join('\n', File.ReadAllLines(LogPath).TakeLast(lines)) : "(no log)";

    public async ValueTask DisposeAsync()
    {
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
    }

    private async Task<int> EndAsync(Signal signal)
    {
        BackgroundProcess daemon = _daemon ?? throw new InvalidOperationException($"{Name} was never started");
        daemon.Signal(signal);
        // A stopped process takes no SIGTERM before it goes on.
        daemon.Signal(Signal.Continue);
        return await daemon.WaitForExitAsync();
    }
}
