using System.Net;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Simulation.Gossip;

/// <summary>
/// A cluster of real cores under virtual time and a faulty network, all from one seed. Random streams are split by
/// purpose so that a draw more in one does not shift the others. Safety is checked at every step.
/// </summary>
internal sealed class GossipCluster
{
    private readonly PriorityQueue<Action, (TimeSpan At, long Order)> _events = new();
    private readonly Random _network;
    private readonly GossipOptions _options;
    private readonly List<GossipEffect> _effects = [];
    private readonly Dictionary<(int Node, long Stream), (SimulatedNode Requester, int Life, long Stream)> _streams = [];
    private long _order;
    private long _nextStream = 1;

    public GossipCluster(int seed, int count, GossipOptions? options = null)
    {
        Seed = seed;
        _options = options ?? new GossipOptions();
        _network = new Random(seed);
        var ids = new Random(seed ^ 0x5eed);
        Nodes = [.. Enumerable.Range(0, count).Select(i => new SimulatedNode(i, new IPEndPoint(new IPAddress([10, 0, (byte)(i >> 8), (byte)i]), 7946), new Random(ids.Next())))];
    }

    public int Seed { get; }

    public IReadOnlyList<SimulatedNode> Nodes { get; }

    public TimeSpan Now { get; private set; }

    public double Loss { get; set; }

    public double Duplication { get; set; }

    public TimeSpan LatencyMin { get; set; } = TimeSpan.FromMilliseconds(0.2);

    public TimeSpan LatencyMax { get; set; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Group of each node; nodes of different groups do not reach each other.</summary>
    public Func<SimulatedNode, int> Side { get; set; } = _ => 0;

    /// <summary>Datagrams this matches are lost whatever the rate.</summary>
    public Predicate<ReadOnlyMemory<byte>> Swallow { get; set; } = _ => false;

    public List<(TimeSpan At, SimulatedNode Observer, GossipEffect Effect)> Log { get; } = [];

    public ulong TraceHash { get; private set; } = 14695981039346656037;

    public long Datagrams { get; private set; }

    public IEnumerable<SimulatedNode> Running => Nodes.Where(n => n.Core is not null);

    public void StartAll()
    {
        foreach (SimulatedNode node in Nodes)
        {
            Start(node, [Nodes[0].Endpoint]);
        }
    }

    public void Start(SimulatedNode node, IEnumerable<IPEndPoint> contacts)
    {
        node.Start(Now, _options);
        foreach (IPEndPoint contact in contacts.Concat(node.Remembered).Distinct().ToList())
        {
            Handle(node, new GossipInput.Contact(contact));
        }

        Arm(node);
    }

    public void Put(SimulatedNode node, params LocalWrite[] writes) => Handle(node, new GossipInput.Put([.. writes]));

    public void Handle(SimulatedNode node, GossipInput input)
    {
        if (node.Core is not { } core)
        {
            return;
        }

        _effects.Clear();
        core.Handle(input, Now, _effects);
        foreach (GossipEffect effect in _effects.ToArray())
        {
            Apply(node, effect);
        }

        CheckWatermarks(node, core);
        Arm(node);
    }

    public void RunFor(TimeSpan time)
    {
        TimeSpan end = Now + time;
        while (_events.TryPeek(out _, out (TimeSpan At, long Order) next) && next.At <= end)
        {
            Action action = _events.Dequeue();
            Now = next.At;
            action();
        }

        Now = end;
    }

    /// <summary>Runs until the claim holds; the time it took, or a failure that names the seed.</summary>
    public TimeSpan RunUntil(Func<bool> claim, TimeSpan limit, string what)
    {
        TimeSpan start = Now;
        while (!claim())
        {
            Assert.True(Now - start < limit, $"seed {Seed}: not within {limit}: {what}. {Describe()}");
            RunFor(TimeSpan.FromMilliseconds(5));
        }

        return Now - start;
    }

    public bool InSync() =>
        Running.Select(n => (n.Core!.CatalogDigest, n.Core.MembershipDigest)).Distinct().Count() == 1;

    public string Describe() => string.Join("; ", Running.Select(n =>
        $"{n.Index}: {n.Core!.CatalogDigest:x16} {n.Core.MembershipDigest:x16} {string.Join(',', n.Core.Members.Members.Select(m => m.Status.ToString()[0]))} health {n.Core.HealthScore}"));

    private void Arm(SimulatedNode node)
    {
        int life = node.Life;
        TimeSpan due = node.Core!.NextDeadline;
        Schedule(due > Now ? due : Now, () =>
        {
            // A deadline that has moved since has an event of its own.
            if (node.Life == life && node.Core!.NextDeadline == due)
            {
                Deliver(node, new GossipInput.Tick());
            }
        });
    }

    /// <summary>A stalled process handles what has piled up when it wakes.</summary>
    private void Deliver(SimulatedNode node, GossipInput input)
    {
        if (node.StalledUntil <= Now)
        {
            Handle(node, input);
            return;
        }

        int life = node.Life;
        Schedule(node.StalledUntil, () =>
        {
            if (node.Life == life)
            {
                Handle(node, input);
            }
        });
    }

    private void Apply(SimulatedNode node, GossipEffect effect)
    {
        Trace(node, effect);
        switch (effect)
        {
            case GossipEffect.Send send:
                Transmit(node, send);
                break;
            case GossipEffect.OpenStream open:
                Open(node, open);
                break;
            case GossipEffect.Respond respond:
                if (_streams.TryGetValue((node.Index, respond.Stream), out (SimulatedNode Requester, int Life, long Stream) to))
                {
                    DeliverTo(to.Requester, to.Life, Reachable(node, to.Requester)
                        ? new GossipInput.StreamReply(to.Stream, respond.Body, respond.Last)
                        : new GossipInput.StreamFailed(to.Stream));
                    if (!respond.Last)
                    {
                        DeliverTo(node, node.Life, new GossipInput.StreamWritable(respond.Stream));
                    }
                }

                break;
            case GossipEffect.Persist persist:
                node.Store(persist);
                break;
            case GossipEffect.PersistEpoch epoch:
                node.StoreEpoch(epoch.Epoch);
                break;
            case GossipEffect.RememberMembers remember:
                node.Remember(remember);
                break;
            case GossipEffect.ContentDiverged diverged:
                // The repair hides the cause, so the owner's verdict is a failure in itself. Others may pass through
                // different content at one watermark while a cut delta is on its way.
                Assert.False(diverged.Origin == node.Id, $"seed {Seed}: node {diverged.Peer.Short} claims a watermark of node {node.Index} without its content");
                break;
            default:
                Log.Add((Now, node, effect));
                break;
        }
    }

    private void Transmit(SimulatedNode from, GossipEffect.Send send)
    {
        Assert.True(send.Payload.Length <= WireLimits.PayloadBytes, $"seed {Seed}: a datagram of {send.Payload.Length} bytes");
        Datagrams++;
        SimulatedNode? to = Nodes.FirstOrDefault(n => n.Endpoint.Equals(send.Endpoint));
        int copies = _network.NextDouble() < Loss ? 0 : _network.NextDouble() < Duplication ? 2 : 1;
        if (to is null || !Reachable(from, to) || Swallow(send.Payload))
        {
            return;
        }

        for (int i = 0; i < copies; i++)
        {
            DeliverTo(to, to.Life, new GossipInput.Datagram(from.Id, from.Endpoint, send.Payload));
        }
    }

    private void Open(SimulatedNode from, GossipEffect.OpenStream open)
    {
        SimulatedNode? to = Nodes.FirstOrDefault(n => n.Endpoint.Equals(open.Endpoint));
        if (to?.Core is null || !Reachable(from, to) || to.Id != open.To)
        {
            int life = from.Life;
            Schedule(Now + TimeSpan.FromSeconds(2), () =>
            {
                if (from.Life == life)
                {
                    Deliver(from, new GossipInput.StreamFailed(open.Stream));
                }
            });
            return;
        }

        long number = _nextStream++;
        _streams[(to.Index, number)] = (from, from.Life, open.Stream);
        DeliverTo(to, to.Life, new GossipInput.StreamRequest(number, from.Id, open.Body));
    }

    private void DeliverTo(SimulatedNode to, int life, GossipInput input)
    {
        // Streams keep their order, datagrams need not.
        TimeSpan latency = input is GossipInput.StreamReply
            ? LatencyMax
            : LatencyMin + ((LatencyMax - LatencyMin) * _network.NextDouble());
        Schedule(Now + latency, () =>
        {
            if (to.Life == life)
            {
                Deliver(to, input);
            }
        });
    }

    private bool Reachable(SimulatedNode from, SimulatedNode to) => Side(from) == Side(to);

    private void Schedule(TimeSpan at, Action action) => _events.Enqueue(action, (at, _order++));

    /// <summary>Within one epoch of an origin a watermark only rises.</summary>
    private void CheckWatermarks(SimulatedNode node, GossipCore core)
    {
        foreach (OriginState origin in core.Catalog.Origins)
        {
            ulong seen = node.SeenVersions.GetValueOrDefault((origin.Origin, origin.Epoch));
            Assert.True(origin.Version >= seen, $"seed {Seed}: node {node.Index} fell back from {seen} to {origin.Version} of {origin.Origin.Short}");
            node.SeenVersions[(origin.Origin, origin.Epoch)] = origin.Version;
        }
    }

    private void Trace(SimulatedNode node, GossipEffect effect)
    {
        Mix((ulong)Now.Ticks);
        Mix((ulong)node.Index);
        switch (effect)
        {
            case GossipEffect.Send send:
                Mix((ulong)send.Endpoint.Address.GetAddressBytes()[3]);
                foreach (byte b in send.Payload.Span)
                {
                    Mix(b);
                }

                break;
            default:
                foreach (char c in effect.GetType().Name)
                {
                    Mix(c);
                }

                break;
        }
    }

    private void Mix(ulong value) => TraceHash = unchecked((TraceHash ^ value) * 1099511628211);
}
