using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dhcp.Supervision;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dhcp;

/// <summary>
/// Keeps the server of one network: at most one process, with the configuration its command line names, and the
/// reservations it was last told.
/// </summary>
internal sealed partial class DhcpKeeper(
    string network, DhcpFiles files, IDhcpSupervisor supervisor, IDataplaneObserver observer, TimeProvider time, ILogger logger)
{
    /// <summary>Ends this close to the start, in a row, are a failure of the network and no accident.</summary>
    private const int Hopeless = 3;

    /// <summary>A server that ends sooner has failed to start.</summary>
    private static readonly TimeSpan _settled = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan _pauseFirst = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _pauseLongest = TimeSpan.FromSeconds(30);

    private readonly long _start = time.GetTimestamp();
    private readonly List<TimeSpan> _repairs = [];
    private ServerProcess? _running;
    private TimeSpan _startedAt;
    private TimeSpan? _missingSince;
    private TimeSpan _notBefore;
    private int _failures;

    // Whether the running server has read the reservations that are on disk: not known after a restart of the daemon.
    private string? _told;

    /// <summary>Null until it was tried once.</summary>
    public DhcpHealth? Health { get; private set; }

    /// <param name="look">Look at the files and for strangers too.</param>
    /// <param name="processes">All servers of this daemon, looked for when somebody wants to know.</param>
    public async Task KeepAsync(DhcpServer server, bool look, Lazy<IReadOnlyList<ServerProcess>> processes, CancellationToken token)
    {
        TimeSpan now = time.GetElapsedTime(_start);
        string configuration = DnsmasqText.Configuration(server, files, files.IsOpenToAll() ? null : "root");
        string path = files.ConfigurationOf(network, DnsmasqText.Version(configuration));
        string hosts = DnsmasqText.Hosts(server);
        bool gone = _running is { IsAlive: false };
        if (_running is null || gone || look)
        {
            Find(processes.Value);
        }

        bool lost = gone && _running is null;
        if (gone && !lost)
        {
            // Whoever keeps it was quicker than this look.
            Repaired(server, "server", now);
        }

        _missingSince = _running is null ? _missingSince ?? now : null;
        if (lost)
        {
            Log.Ended(logger, network);
            _failures = now - _startedAt < _settled ? _failures + 1 : 0;
            if (_failures >= Hopeless)
            {
                Health = new DhcpHealth($"dnsmasq ends again and again ({files.LogOf(network)})", []);
            }

            _notBefore = now + supervisor.Grace + Pause();
        }

        bool fresh = look && FilesAreWhole(path, configuration, hosts);
        bool stale = _told != hosts && StaleLeases(server).Count > 0;
        if (_running is { } old && (old.Configuration != path || stale))
        {
            await supervisor.StopAsync(network, old, token);
            _running = null;
            await StartAsync(server, path, configuration, hosts, repaired: false, token);
        }
        else if (_running is null && now >= _notBefore)
        {
            await StartAsync(server, path, configuration, hosts, repaired: _startedAt > TimeSpan.Zero, token);
        }
        else if (_running is { } present && (_told != hosts || (look && !fresh)))
        {
            Write(path, configuration, hosts);
            await supervisor.ReloadAsync(present, token);
            if (_told == hosts)
            {
                Repaired(server, "files", now);
            }

            Told(server, hosts);
        }
    }

    /// <summary>Looks for the network's process; of several only the oldest stays.</summary>
    private void Find(IReadOnlyList<ServerProcess> processes)
    {
        ServerProcess[] found = [.. processes.Where(p => p.Network == network)];
        foreach (ServerProcess surplus in found.Skip(1))
        {
            surplus.End();
        }

        ServerProcess? first = found.FirstOrDefault();
        if (first is not null && first != _running)
        {
            // Started by an earlier daemon, or again by systemd: what it has read is not known.
            _told = null;
            _startedAt = time.GetElapsedTime(_start);
        }

        _running = first;
    }

    private async Task StartAsync(DhcpServer server, string path, string configuration, string hosts, bool repaired, CancellationToken token)
    {
        Write(path, configuration, hosts);
        IReadOnlyCollection<string> stale = StaleLeases(server);
        if (stale.Count > 0)
        {
            string[] rest = [.. Leases().Except(stale, StringComparer.Ordinal)];
            files.Write(files.LeasesOf(network), string.Concat(rest.Select(l => l + "\n")));
        }

        string? failure = await supervisor.StartAsync(network, path, token);
        Find(ServerProcess.FindAll(files.Directory));
        TimeSpan now = time.GetElapsedTime(_start);
        _startedAt = now;
        if (failure is null && _running is null)
        {
            failure = "dnsmasq ended right after its start";
        }

        if (failure is not null)
        {
            _failures++;
            _notBefore = now + Pause();
            if (Health?.Failure != failure)
            {
                Log.NotStarted(logger, network, failure);
            }

            Health = new DhcpHealth(failure, []);
            return;
        }

        files.RemoveOtherVersions(network, path);
        Log.Started(logger, network, _running!.Pid);
        if (repaired)
        {
            Repaired(server, "server", _missingSince ?? now);
        }

        Told(server, hosts);
    }

    private void Told(DhcpServer server, string hosts)
    {
        _told = hosts;
        Health = new DhcpHealth(null, [.. server.Reservations.Select(r => r.Attachment)]);
    }

    private void Repaired(DhcpServer server, string what, TimeSpan since)
    {
        TimeSpan now = time.GetElapsedTime(_start);
        _repairs.RemoveAll(r => r + TimeSpan.FromSeconds(10) <= now);
        _repairs.Add(now);
        observer.DriftRepaired(new DriftRepair($"dhcp {server.Bridge} dnsmasq {what}", network, now - since, _repairs.Count));
    }

    /// <summary>Somebody who kills a server that has just started must not keep it away for seconds; one that cannot start waits.</summary>
    private TimeSpan Pause() => _failures < Hopeless
        ? TimeSpan.Zero
        : TimeSpan.FromTicks(Math.Min(_pauseLongest.Ticks, _pauseFirst.Ticks << Math.Min(_failures - Hopeless, 10)));

    private bool FilesAreWhole(string path, string configuration, string hosts) =>
        DhcpFiles.Read(path) == configuration && DhcpFiles.Read(files.HostsOf(network)) == hosts;

    private void Write(string path, string configuration, string hosts)
    {
        if (!FilesAreWhole(path, configuration, hosts))
        {
            files.Write(files.HostsOf(network), hosts);
            files.Write(path, configuration);
        }
    }

    private string[] Leases() => (DhcpFiles.Read(files.LeasesOf(network)) ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private List<string> StaleLeases(DhcpServer server) => [.. DnsmasqText.StaleLeases(Leases(), server)];

    private static partial class Log
    {
        [LoggerMessage(6010, LogLevel.Information, "DHCP server of network {Network} started (pid {Pid})")]
        public static partial void Started(ILogger logger, string network, int pid);

        [LoggerMessage(6011, LogLevel.Warning, "DHCP server of network {Network} has ended")]
        public static partial void Ended(ILogger logger, string network);

        [LoggerMessage(6012, LogLevel.Error, "DHCP server of network {Network} does not start: {Cause}")]
        public static partial void NotStarted(ILogger logger, string network, string cause);
    }
}
