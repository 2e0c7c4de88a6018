using System.Collections.Immutable;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dhcp.Supervision;
using Kcore.Daemon.Reconciliation;
using Kcore.Netlink;
using Kcore.Netlink.Route;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dhcp;

/// <summary>
/// Keeps one DHCP server for every nat network of this node whose bridge is there: what should run is compared with what
/// runs, four times a second, so that it does not matter who ended or changed what. Stopping it ends no server.
/// </summary>
internal sealed partial class DhcpLoop(
    DhcpFiles files,
    IDhcpSupervisor supervisor,
    Published<IntendedState> intended,
    Published<ReconcileStatus> kernel,
    Published<ServiceStatus> services,
    HomeNamespace home,
    IDataplaneObserver observer,
    TimeProvider time,
    ILogger logger)
{
    private static readonly TimeSpan _look = TimeSpan.FromMilliseconds(250);

    /// <summary>Files and the table of all processes are looked at less often; what we started ourselves is known.</summary>
    private static readonly TimeSpan _fullLook = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, DhcpKeeper> _keepers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int?> _indexes = new(StringComparer.Ordinal);
    private readonly long _start = time.GetTimestamp();
    private ReconcileStatus? _indexesOf;
    private TimeSpan _fullAt = TimeSpan.Zero;

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            (IntendedState state, long revision) = intended.Read();
            (ReconcileStatus seen, long seenRevision) = kernel.Read();
            if (state.Intent is { } intent && !ReferenceEquals(seen, ReconcileStatus.None))
            {
                try
                {
                    await TurnAsync(intent, seen, stoppingToken);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException or NetlinkException)
                {
                    Log.Failed(logger, e.Message);
                }
            }

            // What did not happen must not stay registered. Without a server there is none to look after, only old ones to find.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            await Task.WhenAny(
                intended.ChangedSince(revision, woken.Token),
                kernel.ChangedSince(seenRevision, woken.Token),
                Task.Delay(_keepers.Count > 0 ? _look : _fullLook, time, woken.Token));
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    private async Task TurnAsync(DataplaneIntent intent, ReconcileStatus seen, CancellationToken token)
    {
        TimeSpan now = time.GetElapsedTime(_start);
        bool full = now >= _fullAt;
        if (full)
        {
            _fullAt = now + _fullLook;
        }

        LocalNetworkIntent[] wanted = [.. intent.Locals.Where(n => n.Nat is not null)];
        var processes = new Lazy<IReadOnlyList<ServerProcess>>(() => ServerProcess.FindAll(files.Directory));
        if (full && (_keepers.Count > 0 || Directory.Exists(files.Directory)))
        {
            await RemoveOthersAsync(wanted, intent.Self.DeletionsHeldBack, token);
        }

        foreach (LocalNetworkIntent network in wanted)
        {
            DhcpKeeper keeper = KeeperOf(network.Name);

            // Without its bridge a server can neither start nor serve; one that runs waits for the bridge as it is.
            if (network.Conflict is null
                && seen.Networks.TryGetValue(network.Name, out NetworkHealth? health) && health.IsReady
                && BridgeIndex(network.Bridge, seen) is { } index)
            {
                await keeper.KeepAsync(DhcpServer.Of(network, network.Nat!, index), full, processes, token);
            }
        }

        Publish(wanted);
        if (wanted.Length != _keepers.Count)
        {
            // A deleted network's server goes now, not at the next full look.
            await RemoveOthersAsync(wanted, intent.Self.DeletionsHeldBack, token);
        }
    }

    private DhcpKeeper KeeperOf(string network)
    {
        if (!_keepers.TryGetValue(network, out DhcpKeeper? keeper))
        {
            _keepers[network] = keeper = new DhcpKeeper(network, files, supervisor, observer, time, logger);
        }

        return keeper;
    }

    /// <summary>Servers and files of networks that are not on this node any more, also those of an earlier daemon.</summary>
    private async Task RemoveOthersAsync(LocalNetworkIntent[] wanted, string? heldBack, CancellationToken token)
    {
        HashSet<string> names = [.. wanted.Select(n => n.Name)];
        ILookup<string, ServerProcess> running = ServerProcess.FindAll(files.Directory).ToLookup(p => p.Network, StringComparer.Ordinal);
        foreach (string network in running.Select(p => p.Key).Concat(files.Networks()).Concat(_keepers.Keys).Distinct(StringComparer.Ordinal).ToList())
        {
            if (names.Contains(network) || heldBack is not null)
            {
                continue;
            }

            if (!running[network].Any())
            {
                await supervisor.StopAsync(network, null, token);
            }

            foreach (ServerProcess server in running[network])
            {
                await supervisor.StopAsync(network, server, token);
            }

            files.Remove(network);
            _keepers.Remove(network);
            Log.Removed(logger, network);
        }
    }

    /// <summary>Looked up once per pass of the data plane: only that makes a bridge anew.</summary>
    private int? BridgeIndex(string bridge, ReconcileStatus seen)
    {
        if (!ReferenceEquals(seen, _indexesOf))
        {
            _indexes.Clear();
            _indexesOf = seen;
        }

        if (!_indexes.TryGetValue(bridge, out int? index))
        {
            using RouteSocket socket = home.OpenRoute();
            _indexes[bridge] = index = socket.FindLink(bridge)?.Index;
        }

        return index;
    }

    private void Publish(LocalNetworkIntent[] wanted)
    {
        ServiceStatus status = new(wanted
            .Select(n => (n.Name, _keepers[n.Name].Health))
            .Where(n => n.Health is not null)
            .ToImmutableSortedDictionary(n => n.Name, n => n.Health!, StringComparer.Ordinal));
        ServiceStatus before = services.Current;
        if (before.Dhcp.Count != status.Dhcp.Count || status.Dhcp.Any(d => !before.Dhcp.TryGetValue(d.Key, out DhcpHealth? old) || !d.Value.Equals(old)))
        {
            services.Replace(status);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(6001, LogLevel.Error, "DHCP servers could not be looked after: {Cause}; trying again")]
        public static partial void Failed(ILogger logger, string cause);

        [LoggerMessage(6002, LogLevel.Information, "DHCP server of network {Network} removed")]
        public static partial void Removed(ILogger logger, string network);
    }
}
