using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Hosting;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Tests.Storage;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Catalog;

/// <summary>A cluster of one without a kernel: the real loops, log and database, on loopback.</summary>
internal sealed class LoneNode : IAsyncDisposable
{
    private readonly TestDatabase _test = new();
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kcore-node-");
    private readonly CancellationTokenSource _stop = new();
    private readonly KeyRing _ring;
    private readonly ClusterTls _tls;
    private readonly EventLog _events;
    private readonly LeaderRoute _route;
    private Task _running = Task.CompletedTask;

    public LoneNode()
    {
        NullLogger logger = NullLogger.Instance;
        TimeProvider time = TimeProvider.System;
        var secret = new ClusterSecret([.. Enumerable.Repeat((byte)1, ClusterSecret.Size)]);
        _ring = new KeyRing(secret);
        NodeIdentity identity = NodeIdentity.Load(new MetaStore(_test.Database), "machine-1", logger);
        _tls = new ClusterTls(_ring, identity.Id.Value, time);
        var connector = new PeerConnector(_tls, time);
        _events = new EventLog(_test.Database, time, "node-a", logger);
        Ledger = new ClusterLedger(Path.Combine(_directory.FullName, "raft"), identity, connector, _events, time, new Random(1), logger);
        var twins = new TwinWatch(identity, "node-a", _events, logger);
        Cluster = new ClusterLoop(new ClusterLoopParts
        {
            Options = new ClusterOptions { GossipPort = FreePort(), RaftPort = 7947 },
            NodeName = "node-a",
            Identity = identity,
            Ring = _ring,
            PeerKeys = new PeerKeys(),
            KeyWasMade = true,
            Connector = connector,
            Discovery = null,
            Underlay = new Published<Underlay>(Underlay),
            Catalog = new CatalogStore(_test.Database),
            Ledger = Ledger,
            Observer = new GossipReports(_events, twins.Suspect, twins.Silenced, time, logger),
            Twins = twins,
            Time = time,
            Logger = logger,
        });
        Catalog = new CatalogHub(Cluster, time, logger);
        _route = new LeaderRoute(Ledger, Cluster, Catalog, connector, time);
        var sight = new QuorumSight(Ledger, Catalog, _route, time);
        Proposals = new ProposalClient(Ledger, _route, sight, time);
        Ledger.Connect(Cluster, Catalog, Proposals);
        Confirmed = new ConfirmedCatalog(Ledger, Cluster, _route, Catalog, sight, time);
        Self = new LocalNode(identity.Id, "node-a", false, "0.1.0");
    }

    private static Underlay Underlay => new(new AdvertisedAddress.Chosen(IPAddress.Loopback, "lo", "a test"), 1500);

    public ClusterLoop Cluster { get; }

    public CatalogHub Catalog { get; }

    public LocalNode Self { get; }

    public ClusterLedger Ledger { get; }

    public ProposalClient Proposals { get; }

    public ConfirmedCatalog Confirmed { get; }

    /// <summary>Returns when the node is a member of its cluster.</summary>
    public async Task StartAsync()
    {
        _running = Task.WhenAll(Cluster.RunAsync(_stop.Token), Catalog.RunAsync(_stop.Token), _events.RunAsync(_stop.Token));
        Task member = Cluster.State.WhenAsync(s => s.Phase == ClusterPhase.Member, default);
        await Task.WhenAny(member, _running).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.True(member.IsCompletedSuccessfully);
        await Catalog.Current.WhenAsync(s => s.Gossip.Members.Members.Length == 1 && s.View.Admissions.Length == 1, default).WaitAsync(TimeSpan.FromSeconds(30));
    }

    public NetworkService Networks(bool vxlanDisabled) => new(
        Cluster,
        Catalog,
        Self with { VxlanDisabled = vxlanDisabled },
        new HostDevices(new Published<Underlay>(Underlay), null, () => Devices),
        _events);

    /// <summary>What the host has, for uplinks.</summary>
    public ImmutableArray<HostInterface> Devices { get; set; } =
    [
        new("lo", InterfaceKind.Loopback, true, [IPAddress.Loopback]),
        new("eth0", InterfaceKind.Link, true, [], DefaultRouteMetric: 0),
        new("eth1", InterfaceKind.Link, true, []),
    ];

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _route.DisposeAsync();
        await Ledger.DisposeAsync();
        _tls.Dispose();
        _ring.Dispose();
        _test.Dispose();
        _directory.Delete(recursive: true);
        _stop.Dispose();
    }

    private static int FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }
}
