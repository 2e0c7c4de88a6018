using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Reconciliation;
using Kcore.Netlink;
using Kcore.Netlink.Route;
using Kcore.Netlink.Wireguard;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>
/// Keeps the encrypted mesh of this node: the device in the kernel, or the process that makes it where the kernel cannot, its
/// key and its peers. What should be is compared with what is, four times a second, so that it does not matter who ended
/// or changed what. Stopping it ends no process and takes no device away.
/// </summary>
internal sealed partial class MeshLoop(
    MeshKeys keys,
    ITunnelSupervisor supervisor,
    Published<IntendedState> intended,
    Published<MeshStatus> status,
    HomeNamespace home,
    IDataplaneObserver observer,
    TimeProvider time,
    ILogger logger)
{
    private static readonly TimeSpan _look = TimeSpan.FromMilliseconds(250);

    /// <summary>Where there is no mesh to look after.</summary>
    private static readonly TimeSpan _fullLook = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Nobody is told when peers change, so they are read: every other turn while they are few, for then it costs nothing to have a peer
    /// that somebody took away back within a second, and in a cluster of a thousand nodes (400 kB to read) every five seconds.
    /// </summary>
    private static readonly TimeSpan _peersLook = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan _perPeer = TimeSpan.FromMilliseconds(5);

    /// <summary>How long a process may take until its device and its socket are there.</summary>
    private static readonly TimeSpan _start = TimeSpan.FromSeconds(3);

    /// <summary>How long until one that was started is seen; one that is not has ended.</summary>
    private static readonly TimeSpan _executed = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan _poll = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan _pauseFirst = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _pauseLongest = TimeSpan.FromSeconds(30);

    /// <summary>Starts this often in a row that came to nothing are no accident; after that there are pauses.</summary>
    private const int Hopeless = 3;

    private readonly long _begun = time.GetTimestamp();
    private readonly Dictionary<WireguardKey, IPEndPoint> _told = [];
    private readonly List<TimeSpan> _repairs = [];
    private MeshLink? _link;
    private TunnelProcess? _process;
    private bool _kernelCannot;
    private bool _wasUp;
    private TimeSpan? _missingSince;
    private TimeSpan _notBefore;
    private TimeSpan _fullAt;
    private int _failures;
    private ImmutableDictionary<WireguardKey, DateTimeOffset> _handshakes = MeshStatus.None.Handshakes;
    private MeshIntent? _settled;
    private MeshKey? _settledKey;

    private TimeSpan Now => time.GetElapsedTime(_begun);

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using RouteSocket socket = home.OpenRoute();
        _link = new MeshLink(socket);
        while (true)
        {
            (IntendedState state, long revision) = intended.Read();
            (MeshKeys.Holding holding, long keyRevision) = keys.Current.Read();
            if (state.Intent is { } intent)
            {
                try
                {
                    await TurnAsync(intent, holding, stoppingToken);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException or NetlinkException)
                {
                    Failed(e.Message);
                }
            }

            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            await Task.WhenAny(
                intended.ChangedSince(revision, woken.Token),
                keys.Current.ChangedSince(keyRevision, woken.Token),
                Task.Delay(IsWithoutMesh(state.Intent) ? _fullLook : _look, time, woken.Token));
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Nothing is wanted and nothing is left: most hosts, whose idle daemon has better not much to do.</summary>
    private bool IsWithoutMesh(DataplaneIntent? intent) => intent is { Mesh: null } && _settled is null && _process is null;

    private async Task TurnAsync(DataplaneIntent intent, MeshKeys.Holding holding, CancellationToken token)
    {
        if (intent.Mesh is not { } mesh)
        {
            if (intent.Self.DeletionsHeldBack is null && !intent.Overlays.Any(o => o.Encrypted))
            {
                await RemoveAsync(token);
            }

            return;
        }

        if (holding.Key is not { } key)
        {
            Failed(holding.Failure ?? "this node has no WireGuard key yet");
            return;
        }

        if (await DeviceAsync(mesh, token) is not { } made)
        {
            return;
        }

        bool fresh = !_wasUp;
        if (!made.Device.IsUp || fresh || !mesh.Equals(_settled) || key != _settledKey || Now >= _fullAt)
        {
            await ConfigureAsync(mesh, key, made.Wireguard, fresh, token);
        }

        IReadOnlyList<string> adjusted = _link!.Adjust(made.Device, mesh);
        if (adjusted.Count > 0 && !fresh && mesh.Equals(_settled))
        {
            Repaired($"link {MeshIntent.Device} {string.Join(", ", adjusted)}", Now);
        }

        Publish(new MeshStatus(true, null, _handshakes));
        if (fresh)
        {
            Log.Up(logger, MeshIntent.Device, mesh.Address.ToString(), _process is null ? "kernel" : string.Create(CultureInfo.InvariantCulture, $"process {_process.Pid}"));
            if (_missingSince is { } since && _settled is not null)
            {
                Repaired($"link {MeshIntent.Device} made anew", since);
            }
        }

        (_settled, _settledKey, _wasUp, _missingSince, _failures) = (mesh, key, true, null, 0);
    }

    /// <summary>The device and the way to its configuration; null while there is none yet.</summary>
    private async Task<(LinkInfo Device, IMeshDevice Wireguard)?> DeviceAsync(MeshIntent mesh, CancellationToken token)
    {
        LinkInfo? seen = _link!.Find();
        if (seen is { Kind: "wireguard", Group: KcoreMark.LinkGroup })
        {
            return (seen, new KernelMeshDevice(home));
        }

        bool gone = _process is { IsAlive: false };
        if (seen is null && _wasUp && _process is { IsAlive: true } orphan)
        {
            // It notices by itself that somebody took its device away, but that takes it longer than another takes to start.
            orphan.EndAtOnce();
            gone = true;
            for (TimeSpan since = Now; orphan.IsAlive && Now - since < _executed;)
            {
                await Task.Delay(_poll, time, token);
            }
        }

        if (gone || _process is null || seen is null)
        {
            _process = Find();
        }

        if (seen is not null && _process is { } running && IsOfProcess(seen))
        {
            if (gone)
            {
                // Whoever keeps it was quicker than this look: it has neither key nor peers.
                _missingSince ??= Now;
                _wasUp = false;
            }

            return (seen, new UapiMeshDevice(running.SocketPath, time));
        }

        if (seen is not null && !(gone && IsOfProcess(seen)))
        {
            Failed($"foreign device \"{MeshIntent.Device}\"{(seen.Kind is { Length: > 0 } kind ? $" of kind {kind}" : "")} has the name of the mesh");
            return null;
        }

        if (_wasUp || gone)
        {
            Log.Gone(logger, MeshIntent.Device);
            _missingSince ??= Now;
            _wasUp = false;
            _notBefore = Now + (gone ? supervisor.Grace : TimeSpan.Zero);
            status.Replace(status.Current with { IsUp = false });
        }

        if (Now < _notBefore)
        {
            return null;
        }

        await home.Making.WaitAsync(token);
        try
        {
            return await MakeAsync(mesh, token);
        }
        finally
        {
            home.Making.Release();
        }
    }

    private static bool IsOfProcess(LinkInfo seen) => seen.Kind == "tun" && seen.Group is KcoreMark.LinkGroup or 0;

    private async Task<(LinkInfo Device, IMeshDevice Wireguard)?> MakeAsync(MeshIntent mesh, CancellationToken token)
    {
        if (!_kernelCannot && _process is null)
        {
            _kernelCannot = !_link!.TryCreate(mesh.Mtu);
            if (!_kernelCannot)
            {
                return _link.Find() is { } own ? (own, new KernelMeshDevice(home)) : null;
            }
        }

        if (_process is null && await supervisor.StartAsync(token) is { } refused)
        {
            Paused(refused);
            return null;
        }

        TimeSpan since = Now;
        while (Now - since < _start)
        {
            _process = _process is { IsAlive: true } ? _process : Find();
            if (_process is null && Now - since > _executed)
            {
                break;
            }

            if (_process is { } running && _link!.Find() is { } seen && IsOfProcess(seen) && File.Exists(running.SocketPath))
            {
                return (seen, new UapiMeshDevice(running.SocketPath, time));
            }

            await Task.Delay(_poll, time, token);
        }

        // One that makes no device is of no use; what keeps it must not find it alive.
        _process?.EndAtOnce();
        _process = null;
        Paused($"{TunnelProcess.Program} makes no device");
        return null;
    }

    private async Task ConfigureAsync(MeshIntent mesh, MeshKey key, IMeshDevice device, bool fresh, CancellationToken token)
    {
        WireguardInfo seen = await device.ReadAsync(token);
        WireguardChange change = MeshPlan.Between(mesh, key, seen, _told, time.GetUtcNow());
        if (!change.IsEmpty)
        {
            await device.ChangeAsync(change, token);
            if (!fresh && mesh.Equals(_settled) && key == _settledKey)
            {
                Repaired($"wireguard {MeshIntent.Device} {Describe(change)}", Now);
            }

            seen = await device.ReadAsync(token);
        }

        _told.Clear();
        foreach (MeshPeer peer in mesh.Peers)
        {
            _told[peer.Key] = peer.Endpoint;
        }

        TimeSpan all = _perPeer * mesh.Peers.Length;
        _fullAt = Now + (all > _peersLook ? all : _peersLook);
        _handshakes = Handshakes(seen);
    }

    private static ImmutableDictionary<WireguardKey, DateTimeOffset> Handshakes(WireguardInfo seen) => seen.Peers
        .Where(p => p.LastHandshake is not null && WireguardKey.TryFrom(p.PublicKey.Span) is not null)
        .DistinctBy(p => WireguardKey.TryFrom(p.PublicKey.Span)!)
        .ToImmutableDictionary(p => WireguardKey.TryFrom(p.PublicKey.Span)!, p => p.LastHandshake!.Value);

    private static string Describe(WireguardChange change) => change switch
    {
        { PrivateKey: not null } => "key",
        { Peers.IsEmpty: false } => $"{change.Peers.Length} peers",
        _ => "port",
    };

    private async Task RemoveAsync(CancellationToken token)
    {
        if (_settled is null && _process is null && Now < _fullAt)
        {
            return;
        }

        _fullAt = Now + _fullLook;
        LinkInfo? seen = _link!.Find();
        IReadOnlyList<TunnelProcess> running = seen is { Kind: "tun" } || _process is not null ? TunnelProcess.FindAll(home.Run(TunnelProcess.CurrentNamespace)) : [];
        bool ours = seen is { Group: KcoreMark.LinkGroup };
        if (ours || running.Count > 0)
        {
            await supervisor.StopAsync(token);
            foreach (TunnelProcess process in running)
            {
                process.End();
            }

            if (ours && seen!.Kind == "wireguard")
            {
                _link.Delete(seen);
            }

            Log.Removed(logger, MeshIntent.Device);
        }

        (_process, _settled, _settledKey, _wasUp, _missingSince, _failures, _notBefore) = (null, null, null, false, null, 0, TimeSpan.Zero);
        _told.Clear();
        Publish(MeshStatus.None);
    }

    /// <summary>Of several only the oldest can have the device; the others will end by themselves.</summary>
    private TunnelProcess? Find() => TunnelProcess.FindAll(home.Run(TunnelProcess.CurrentNamespace)) is [var first, ..] ? first : null;

    private void Paused(string failure)
    {
        _failures++;
        _notBefore = Now + (_failures < Hopeless ? TimeSpan.Zero : TimeSpan.FromTicks(Math.Min(_pauseLongest.Ticks, _pauseFirst.Ticks << Math.Min(_failures - Hopeless, 10))));
        Failed(failure);
    }

    private void Failed(string failure)
    {
        if (status.Current.Failure != failure)
        {
            Log.Failed(logger, failure);
        }

        Publish(new MeshStatus(false, failure, status.Current.Handshakes));
    }

    private void Publish(MeshStatus next)
    {
        MeshStatus before = status.Current;
        if (before.IsUp != next.IsUp || before.Failure != next.Failure || before.Handshakes.Count != next.Handshakes.Count
            || next.Handshakes.Any(h => !before.Handshakes.TryGetValue(h.Key, out DateTimeOffset at) || at != h.Value))
        {
            status.Replace(next);
        }
    }

    private void Repaired(string what, TimeSpan since)
    {
        _repairs.RemoveAll(r => r + TimeSpan.FromSeconds(10) <= Now);
        _repairs.Add(Now);
        observer.DriftRepaired(new DriftRepair(what, "", Now - since, _repairs.Count));
    }

    private static partial class Log
    {
        [LoggerMessage(6110, LogLevel.Information, "The encrypted mesh is up: {Device} {Address} ({By})")]
        public static partial void Up(ILogger logger, string device, string address, string by);

        [LoggerMessage(6111, LogLevel.Warning, "{Device} is gone; encrypted networks carry nothing until it is back")]
        public static partial void Gone(ILogger logger, string device);

        [LoggerMessage(6112, LogLevel.Error, "The encrypted mesh is not up: {Cause}")]
        public static partial void Failed(ILogger logger, string cause);

        [LoggerMessage(6113, LogLevel.Information, "{Device} removed: no network is encrypted any more")]
        public static partial void Removed(ILogger logger, string device);
    }
}
