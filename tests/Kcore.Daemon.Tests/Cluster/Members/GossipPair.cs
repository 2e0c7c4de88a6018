using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Tests.Storage;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Cluster.Members;

/// <summary>Two gossip loops with real sockets on loopback and a database each, so that the disk of one can be made slow or full.</summary>
internal sealed class GossipPair : IAsyncDisposable
{
    private readonly KeyRing _ring = new(new ClusterSecret([.. Enumerable.Repeat((byte)7, ClusterSecret.Size)]));
    private readonly CancellationTokenSource _stop = new();

    public GossipPair()
    {
        A = new Side(_ring, 1);
        B = new Side(_ring, 2);
    }

    public Side A { get; }

    public Side B { get; }

    public async Task MeetAsync()
    {
        A.Run(_stop.Token);
        B.Run(_stop.Token);
        A.Loop.TryPost(new GossipInput.Contact(B.Endpoint));
        await A.SeesAsync(v => v.Members.Members.Count(m => m.Status == MemberStatus.Alive) == 2);
        await B.SeesAsync(v => v.Members.Members.Count(m => m.Status == MemberStatus.Alive) == 2);
    }

    /// <summary>Ends both loops in good order; their databases stay open.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await A.EndedAsync();
        await B.EndedAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        A.Dispose();
        B.Dispose();
        _ring.Dispose();
        _stop.Dispose();
    }

    internal sealed class Side : IDisposable
    {
        private readonly TestDatabase _test = new();
        private readonly ClusterTls _tls;
        private Task _running = Task.CompletedTask;

        public Side(KeyRing ring, ulong id)
        {
            TimeProvider time = TimeProvider.System;
            NodeIdentity identity = NodeIdentity.Load(new MetaStore(_test.Database), $"machine-{id}", NullLogger.Instance);
            Id = identity.Id;
            _tls = new ClusterTls(ring, Id.Value, time);
            Endpoint = FreeEndpoint();
            long started = time.GetTimestamp();
            var scope = new ClusterScope(99, 1);
            var self = new LocalMember(Id, 1, id, Endpoint, 7947, $"node-{id}");
            Loop = new GossipLoop(new GossipLoopParts
            {
                Core = new GossipCore(new GossipOptions(), self, new CatalogState(), new Random((int)id), TimeSpan.Zero),
                Socket = new SealedSocket(Endpoint.Port, Id, 1, ring, scope, new PeerKeys(), time, started, NullLogger.Instance),
                Connector = new PeerConnector(_tls, time),
                Scope = scope,
                Store = new CatalogStore(_test.Database),
                Identity = identity,
                View = View,
                Observer = Heard,
                Time = time,
                Started = started,
                Logger = NullLogger.Instance,
            });
        }

        public NodeId Id { get; }

        public IPEndPoint Endpoint { get; }

        public GossipLoop Loop { get; }

        public Published<GossipView> View { get; } = new(new GossipView(new MembershipView(0, default, []), [], 0, 0));

        public StateDatabase Database => _test.Database;

        public Observer Heard { get; } = new();

        public void Run(CancellationToken token) => _running = Loop.RunAsync(token);

        public Task PutAsync(string key) => Loop.SubmitAsync(new GossipInput.Put([new LocalWrite(key, 10, new byte[] { 1, 2, 3 })]), CancellationToken.None);

        public Task SeesAsync(Func<GossipView, bool> condition) => View.WhenAsync(condition, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));

        public bool Shows(NodeId origin, string key) => View.Current.Entries.Any(e => e.Origin == origin && e.Key == key);

        public ulong StoredVersion() => new CatalogStore(_test.Database).Load().Heads.Where(h => h.Origin == Id).Select(h => h.Version).SingleOrDefault();

        /// <summary>Nobody gets to the disk until the answer is disposed of: what a disk that hangs in fsync looks like from here.</summary>
        public IDisposable HangDisk()
        {
            var held = new HungDisk(Database);
            held.Begun.Wait();
            return held;
        }

        public Task EndedAsync() => _running;

        public void Dispose()
        {
            Loop.Dispose();
            _tls.Dispose();
            _test.Dispose();
        }

        private static IPEndPoint FreeEndpoint()
        {
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            return (IPEndPoint)probe.LocalEndPoint!;
        }
    }

    internal sealed class Observer : IGossipObserver
    {
        public ConcurrentQueue<MemberStatus> Statuses { get; } = [];

        public ConcurrentQueue<string> Failures { get; } = [];

        public bool Works { get; private set; }

        public void Observe(GossipEffect effect)
        {
            if (effect is GossipEffect.MemberChanged change)
            {
                Statuses.Enqueue(change.After.Status);
            }
        }

        public void StorageFailed(string cause)
        {
            Works = false;
            Failures.Enqueue(cause);
        }

        public void StorageWorked() => Works = true;
    }

    private sealed class HungDisk : IDisposable
    {
        private readonly ManualResetEventSlim _end = new();
        private readonly Thread _thread;

        public HungDisk(StateDatabase database)
        {
            _thread = new Thread(() => database.Write(_ =>
            {
                Begun.Set();
                _end.Wait();
            }));
            _thread.Start();
        }

        public ManualResetEventSlim Begun { get; } = new();

        public void Dispose()
        {
            _end.Set();
            _thread.Join();
        }
    }
}
