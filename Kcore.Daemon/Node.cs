using System.Net;
using System.Security.Cryptography;
using Kcore.Daemon.Api;
using Kcore.Daemon.Api.Departures;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Cluster.Consensus.Voters;
using Kcore.Daemon.Cluster.Discovery;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dataplane.Hosts;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Daemon.Dataplane.Nics;
using Kcore.Daemon.Dataplane.Paths;
using Kcore.Daemon.Dhcp;
using Kcore.Daemon.Dhcp.Supervision;
using Kcore.Daemon.Hosting;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Ipam.Pools;
using Kcore.Daemon.Ipam.Removal;
using Kcore.Daemon.Ipam.Reserve;
using Kcore.Daemon.Ipam.Upkeep;
using Kcore.Daemon.Ipam.Voters;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Systemd;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon;

/// <summary>
/// Puts the rooms together and runs them: the only place that knows them all. Every loop is owned here; the first one
/// that ends by itself ends the daemon, and its supervisor starts it again. The kernel keeps what it has meanwhile.
/// </summary>
internal static class Node
{
    /// <summary>The gossip loop turns at least twice a second; after this long without a turn the watchdog is not fed.</summary>
    private static readonly TimeSpan HangLimit = TimeSpan.FromSeconds(15);

    /// <summary>How long a leader that stops waits for its successor; an election would take about as long.</summary>
    private static readonly TimeSpan HandOverLimit = TimeSpan.FromSeconds(2);

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    public static async Task RunAsync(DaemonOptions options, string version, DaemonLog log, TimeProvider time, CancellationToken stoppingToken)
    {
        ILogger logger = log.Factory.CreateLogger("Kcore.Daemon");
        string name = NameOf(options.Node);
        string data = options.Node.DataDir;
        using var systemd = SystemdNotifier.FromEnvironment(time);
        ApiSocket.Prepare(options.Node.Socket);
        CheckSeeds(options.Cluster);
        MakeDirectory(data);

        using StateDatabase database = OpenDatabase(Path.Combine(data, "state.db"));
        var meta = new MetaStore(database);
        NodeIdentity.WipeIfAsked(meta, key => DeleteFiles(Path.Combine(data, "raft"), key ? options.Cluster.KeyFile : null));
        NodeIdentity identity = NodeIdentity.Load(meta, logger);
        RingContent? found = ClusterKeyFile.Read(options.Cluster.KeyFile);
        RingContent keys = found ?? MakeKey(options.Cluster.KeyFile, logger);
        using var ring = new KeyRing(keys.ActiveKey.Secret);
        keys.ApplyTo(ring);
        var peerKeys = new PeerKeys();
        using var tls = new ClusterTls(ring, identity.Id.Value, time);
        var attachments = new AttachmentTable(database);
        var reserve = new ReserveStore(database, meta);
        bool vxlanDisabled = IsVxlanDisabled(options.Dataplane, attachments.Current.Current, logger);
        var self = new LocalNode(identity.Id, name, vxlanDisabled, version);
        NodeLog.Starting(logger, version, name, identity.Id.ToString(), vxlanDisabled);

        UnderlayWatch underlay = await UnderlayWatch.StartAsync(options.Node.Advertise, time, logger, stoppingToken);
        var events = new EventLog(database, time, name, logger);
        var twins = new TwinWatch(identity, name, events, logger);
        var gossipReports = new GossipReports(events, twins.Suspect, twins.Silenced, time, logger);
        var connector = new PeerConnector(tls, time);
        MdnsDiscovery? discovery = options.Cluster.Discovery == "mdns"
            ? new MdnsDiscovery(new LinuxMdnsNetwork(), time, NewRandom(), log.Factory.CreateLogger<MdnsDiscovery>())
            : null;
        await using var ledger = new ClusterLedger(Path.Combine(data, "raft"), identity, connector, events, time, NewRandom(), logger);
        var cluster = new ClusterLoop(new ClusterLoopParts
        {
            Options = options.Cluster,
            Membership = options.Membership,
            NodeName = name,
            Identity = identity,
            Ring = ring,
            PeerKeys = peerKeys,
            KeyWasMade = found is null,
            Connector = connector,
            Discovery = discovery,
            Underlay = underlay.Current,
            Catalog = new CatalogStore(database),
            Ledger = ledger,
            Observer = gossipReports,
            Twins = twins,
            Time = time,
            Logger = logger,
        });
        var keyLoop = new KeyLoop(new KeyLoopParts
        {
            Self = identity.Id,
            Path = options.Cluster.KeyFile,
            Content = keys,
            Ring = ring,
            Peers = peerKeys,
            Cluster = cluster,
            Connector = connector,
            Events = events,
            Time = time,
            Logger = logger,
        });
        var catalog = new CatalogHub(cluster, time, logger);
        await using var route = new LeaderRoute(ledger, cluster, catalog, connector, time);
        var quorum = new QuorumSight(ledger, catalog, route, time);
        var proposals = new ProposalClient(ledger, route, quorum, time);
        ledger.Connect(cluster, catalog, proposals);
        var confirmed = new ConfirmedCatalog(ledger, cluster, route, catalog, quorum, time);
        var streams = new LedgerStreams(ledger, time);

        var leases = new LeaseLoop(self, attachments, reserve, proposals, quorum, ledger, catalog, events, time, logger);
        var moving = new MoveLoop(self, identity, attachments, catalog, proposals, events, time, logger);
        var reserves = new ReserveLoop(self, identity, catalog, ledger, attachments, reserve, proposals, quorum, events, time, logger);
        var pools = new PoolLoop(ledger, catalog, proposals, time, logger);
        var upkeep = new UpkeepLoop(ledger, catalog, proposals, events, time, logger);
        var stores = new StoreLoop(self, cluster, catalog, ledger, route, proposals, time, NewRandom(), logger);
        var voters = new VoterLoop(ledger, catalog, new VoterRules(), time, logger);
        var removals = new RemovalLoop(self, cluster, catalog, ledger, time, logger);
        var reports = new DataplaneReports(self, events, time, logger);
        var services = new Published<ServiceStatus>(ServiceStatus.None);
        var meshKeys = new MeshKeys(new MeshKeyFile(Path.Combine(data, "wireguard.key"), identity.Id), logger);
        meshKeys.Load();
        var mesh = new Published<MeshStatus>(MeshStatus.None);
        var kernel = new DataplaneLoop(
            HomeNamespace.OfProcess,
            SysctlJournal.Open(Path.Combine(data, "sysctl.json")),
            UplinkJournal.Open(Path.Combine(data, "uplinks.json")),
            reports, time, NewRandom(), log.Factory.CreateLogger<DataplaneLoop>());
        var hosts = new HostProber(self, catalog, events, time, logger);
        var paths = new PathProber(self, underlay.Current, catalog, cluster.State, ring, events, NewRandom(), time, logger);
        var feed = new DataplaneFeed(
            self, options.Dataplane.GatewayInterface, underlay.Current, catalog, attachments, leases, new DeletionGate(gossipReports, time), cluster, ledger, kernel, reports, services, hosts.Sights, meshKeys, mesh, identity, time, logger);
        var dhcp = new DhcpLoop(
            new DhcpFiles(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(options.Node.Socket))!, "dhcp")),
            SupervisorOf(options.Node) == SupervisorKind.Systemd ? new UnitSupervisor(time) : new ChildSupervisor(HomeNamespace.OfProcess, time),
            feed.Intended,
            reports.Status,
            services,
            HomeNamespace.OfProcess,
            reports,
            time,
            logger);

        var meshLoop = new MeshLoop(
            meshKeys,
            SupervisorOf(options.Node) == SupervisorKind.Systemd ? new UnitTunnelSupervisor(time) : new ChildTunnelSupervisor(HomeNamespace.OfProcess),
            feed.Intended,
            mesh,
            HomeNamespace.OfProcess,
            reports,
            time,
            logger);

        // Not linked to the signal: a leader hands its seat over before its loops end.
        using var running = new CancellationTokenSource();
        CancellationToken token = running.Token;
        using var networks = new NetworkService(
            cluster, catalog, self, new HostDevices(underlay.Current, options.Dataplane.GatewayInterface, HostInterfaceReader.Read), events);
        var nics = new NicService(self, catalog, attachments, leases, quorum, reports, services, identity, events, time);
        var moves = new MoveService(self, catalog, proposals, quorum, nics, ledger, events, time);
        var statuses = new StatusReports(self, cluster, catalog, ledger, quorum, attachments, reports, services, gossipReports, time);
        var plans = new PlanReports(kernel);
        var clusterReports = new ClusterReports(self, cluster, catalog, ledger, route, quorum);
        using var departures = new NodeDepartures(self, identity, cluster, catalog, attachments, reserve, proposals, quorum, clusterReports, feed, reports, events, time);
        var meshReports = new MeshReports(self, meshKeys, mesh, events);
        var endpoints = new ApiEndpoints(
            networks,
            nics,
            moves,
            new NetworkReports(self, catalog, underlay.Current, paths.Sights, reports, options.Dataplane.GatewayInterface),
            new AddressDecisions(self, catalog, confirmed, proposals, quorum, events),
            new AddressAnswers(catalog, confirmed, self),
            new NodeReports(self, catalog, underlay.Current, reports, hosts.Sights, paths.Sights, meshReports),
            statuses,
            clusterReports,
            plans,
            new DoctorReports(statuses, plans, reports, catalog, underlay.Current, paths.Sights),
            departures,
            new NodeRemovals(self, catalog, proposals, quorum, route, time),
            new KeyReports(keyLoop, peerKeys, cluster, new RingFingerprints(ring), catalog, self),
            meshReports,
            events,
            self,
            token);
        await using WebApplication api = ApiServer.Build(options.Node.Socket, endpoints, log.Provider);

        List<Task> loops =
        [
            new PeerListener(new IPEndPoint(IPAddress.Any, options.Cluster.GossipPort), tls, new Dictionary<StreamKind, StreamHandler>
            {
                [StreamKind.Gossip] = cluster.HandleGossipAsync,
                [StreamKind.Hello] = cluster.HandleHelloAsync,
                [StreamKind.Join] = cluster.HandleJoinAsync,
                [StreamKind.Keys] = keyLoop.HandleAsync,
            }, time, logger).RunAsync(token),
            new PeerListener(new IPEndPoint(IPAddress.Any, options.Cluster.RaftPort), tls, new Dictionary<StreamKind, StreamHandler>
            {
                [StreamKind.LogReport] = streams.HandleReportAsync,
                [StreamKind.Transfer] = streams.HandleTransferAsync,
            }, time, logger, new Dictionary<StreamKind, SessionHandler>
            {
                [StreamKind.Raft] = streams.ReceiveAsync,
                [StreamKind.Propose] = streams.HandleProposalsAsync,
                [StreamKind.Read] = streams.HandleReadsAsync,
            }).RunAsync(token),
            events.RunAsync(token),
            underlay.RunAsync(token),
            cluster.RunAsync(token),
            keyLoop.RunAsync(token),
            catalog.RunAsync(token),
            leases.RunAsync(token),
            moving.RunAsync(token),
            reserves.RunAsync(token),
            pools.RunAsync(token),
            upkeep.RunAsync(token),
            stores.RunAsync(token),
            voters.RunAsync(token),
            removals.RunAsync(token),
            kernel.RunAsync(token),
            hosts.RunAsync(token),
            paths.RunAsync(token),
            feed.RunAsync(token),
            dhcp.RunAsync(token),
            meshLoop.RunAsync(token),
            networks.KeepDefaultAsync(options.Dataplane.DefaultNetwork, time, token),
        ];
        if (discovery is not null)
        {
            loops.Add(discovery.RunAsync(token));
        }

        await api.StartAsync(token);
        ApiSocket.Open(options.Node.Socket, logger);
        systemd.Ready($"node {name} ({identity.Id.Short})");
        loops.Add(systemd.RunWatchdogAsync(() => loops.TrueForAll(l => !l.IsCompleted) && cluster.TurnsWithin(HangLimit), token));
        await UntilOneEndsAsync(loops, running, () => ledger.HandOverAsync(HandOverLimit, CancellationToken.None), stoppingToken);

        systemd.Stopping();
        await api.StopAsync(CancellationToken.None);
        NodeLog.Stopped(logger);
    }

    /// <summary>Waits for the stop signal or the first loop that fails, takes leave of the others, and waits for all loops.</summary>
    private static async Task UntilOneEndsAsync(List<Task> loops, CancellationTokenSource running, Func<Task> takeLeave, CancellationToken stoppingToken)
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration signal = stoppingToken.Register(() => stopped.TrySetResult());

        // A loop that has nothing to do (no watchdog asked for) may end well. One that gave up because something else
        // than our stop was cancelled has failed as much as one that threw.
        var waiting = new List<Task>(loops);
        Task? failed = null;
        while (waiting.Count > 0 && failed is null && !stoppingToken.IsCancellationRequested)
        {
            Task ended = await Task.WhenAny([.. waiting, stopped.Task]);
            waiting.Remove(ended);
            failed = ended.IsCompletedSuccessfully || stoppingToken.IsCancellationRequested ? null : ended;
        }

        await takeLeave();
        await running.CancelAsync();
        await Task.WhenAll(loops).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (failed is not null)
        {
            await failed;
        }
    }

    private static void MakeDirectory(string path)
    {
        try
        {
            Directory.CreateDirectory(path, OwnerOnly);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"the data directory {path} cannot be made: {e.Message}");
        }
    }

    /// <summary>What a reset takes beside the database. What the host was before Kcore stays known, for the purge.</summary>
    private static void DeleteFiles(string log, string? key)
    {
        try
        {
            if (Directory.Exists(log))
            {
                foreach (string file in Directory.EnumerateFiles(log, "*", SearchOption.AllDirectories))
                {
                    File.Delete(file);
                }
            }

            if (key is not null)
            {
                File.Delete(key);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"the reset could not delete all there was: {e.Message}", e);
        }
    }

    /// <summary>Refused while NICs of this node use overlays: a marker must not cut running guests off (behaviour 54).</summary>
    private static bool IsVxlanDisabled(DataplaneOptions options, AttachmentSet attachments, ILogger logger)
    {
        bool asked = options.DisableVxlan || File.Exists(options.DisableMarker);
        if (asked && attachments.Wanted.Any(a => !a.Local))
        {
            NodeLog.VxlanInUse(logger, string.Join(", ", attachments.Wanted.Where(a => !a.Local).Select(a => $"{a.Name} on {a.NetworkName}")));
            return false;
        }

        return asked;
    }

    private static SupervisorKind SupervisorOf(NodeOptions options) => options.Supervisor switch
    {
        "systemd" => SupervisorKind.Systemd,
        "process" => SupervisorKind.Process,
        _ => SupervisorDetection.Detect(),
    };

    private static string NameOf(NodeOptions options)
    {
        if (options.Name is { } given)
        {
            return given;
        }

        // The host name obeys rules of its own; one that others could not read must not reach them.
        string host = Dns.GetHostName();
        return NodeOptions.IsName(host)
            ? host
            : throw new ConfigurationException($"the host name '{host}' cannot be the node's name: give one with --node-name (1 to 63 letters, digits, dots and dashes)");
    }

    private static StateDatabase OpenDatabase(string path)
    {
        StateDatabase database = StateDatabase.Open(path);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return database;
    }

    private static RingContent MakeKey(string path, ILogger logger)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            RingContent keys = ClusterKeyFile.Create(path);
            NodeLog.KeyMade(logger, path);
            return keys;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"there is no cluster key and {path} cannot be written: {e.Message}");
        }
    }

    private static void CheckSeeds(ClusterOptions options)
    {
        try
        {
            Seeds.Parse(options.Join, options.GossipPort);
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(e.Message);
        }
    }

    private static Random NewRandom() => new(RandomNumberGenerator.GetInt32(int.MaxValue));
}
