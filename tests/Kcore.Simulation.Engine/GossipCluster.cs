using System.Net;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Simulation.Engine;

/// <summary>
/// A cluster of real cores under virtual time and a faulty network, all from one seed and in one thread. Random streams
/// are split by purpose, so that a draw more in one does not shift the others. What must always hold is checked by
/// <see cref="Checks"/> after each event.
/// </summary>
public sealed partial class GossipCluster
{
    /// <summary>Inputs a stalled process finds when it wakes; the kernel and the daemon's inbox drop the rest.</summary>
    private const int BacklogLimit = 4096;

    private const int TurnsAtOneMoment = 1000;
    private readonly EventHeap _events = new();
    private readonly GossipOptions _options;
    private readonly List<GossipEffect> _effects = [];
    private readonly List<SimulatedNode> _nodes = [];
    private readonly Dictionary<IPEndPoint, SimulatedNode> _byEndpoint = [];
    private readonly SeedStream _contacts;
    private long _now;

    public GossipCluster(ulong seed, int count, GossipOptions? options = null)
    {
        Seed = seed;
        _options = options ?? new GossipOptions();
        _contacts = new SeedStream(seed, StreamPurpose.Identity, -1);
        Network = new VirtualNetwork(seed, count);
        Truth = new Truth();
        for (int i = 0; i < count; i++)
        {
            AddHost();
        }
    }

    public ulong Seed { get; }

    public IReadOnlyList<SimulatedNode> Nodes => _nodes;

    public VirtualNetwork Network { get; }

    /// <summary>What the owners have written, whatever anybody was told of it.</summary>
    public Truth Truth { get; }

    public List<ClusterCheck> Checks { get; } = [];

    /// <summary>Called with every effect the shell would report; for measuring.</summary>
    public Action<SimulatedNode, GossipEffect>? Watch { get; set; }

    /// <summary>Called with every datagram before the network decides about it.</summary>
    public Action<SimulatedNode, ReadOnlyMemory<byte>>? WatchSend { get; set; }

    /// <summary>Hash over all effects; costs time, so large clusters may go without.</summary>
    public TraceHash? Trace { get; set; } = new();

    public TimeSpan Now => TimeSpan.FromTicks(_now);

    /// <summary>Inputs handled by cores.</summary>
    public long Inputs { get; private set; }

    public IEnumerable<SimulatedNode> Running => _nodes.Where(n => n.Core is not null);

    /// <summary>When a cut, a split or a change of rates last ended or began.</summary>
    public TimeSpan NetworkDisturbed { get; set; }

    public SimulatedNode AddHost()
    {
        int index = _nodes.Count;
        var node = new SimulatedNode(Seed, index, new IPEndPoint(new IPAddress([10, (byte)(index >> 16), (byte)(index >> 8), (byte)index]), 7946));
        _nodes.Add(node);
        _byEndpoint[node.Endpoint] = node;
        Network.Grow(_nodes.Count);
        return node;
    }

    public SimulatedNode? HostAt(IPEndPoint endpoint) => _byEndpoint.GetValueOrDefault(endpoint);

    /// <summary>Starts every node with the first as its contact.</summary>
    public void StartAll()
    {
        foreach (SimulatedNode node in _nodes)
        {
            Start(node, [_nodes[0].Endpoint]);
        }
    }

    /// <summary>Starts a process on what its disk holds; it is told the given addresses and those it remembers.</summary>
    public void Start(SimulatedNode node, IEnumerable<IPEndPoint> contacts)
    {
        node.Start(Now, _options, Seed);
        node.LastDisturbed = Now;
        Truth.OnStart(node);
        foreach (ClusterCheck check in Checks)
        {
            check.OnStart(node);
        }

        foreach (IPEndPoint contact in contacts.Concat(node.Disk.Remembered).Distinct().ToList())
        {
            Handle(node, new GossipInput.Contact(contact));
        }

        Arm(node);
    }

    public void Put(SimulatedNode node, params LocalWrite[] writes) => Submit(node, new GossipInput.Put([.. writes]));

    /// <summary>An input that reaches the node now, or when its stall is over.</summary>
    public void Submit(SimulatedNode node, GossipInput input)
    {
        if (node.Core is not null)
        {
            Deliver(node, input);
        }
    }

    /// <summary>Does something at a moment of the future.</summary>
    public void At(TimeSpan when, Action action) => _events.Add(when.Ticks, EventKind.Action, -1, 0, action);

    public void RunFor(TimeSpan time)
    {
        long end = _now + time.Ticks;
        while (_events.NextAt <= end)
        {
            SimulatedEvent next = _events.Take();
            _now = next.At;
            Run(next);
        }

        _now = end;
    }

    /// <summary>Runs until the claim holds and returns the time it took, to within <paramref name="step"/>.</summary>
    /// <exception cref="InvariantViolationException">It does not hold within the limit.</exception>
    public TimeSpan RunUntil(Func<bool> claim, TimeSpan limit, string what, TimeSpan? step = null)
    {
        TimeSpan start = Now;
        while (!claim())
        {
            if (Now - start >= limit)
            {
                throw Violation($"not within {limit}: {what}. {Describe()}");
            }

            RunFor(step ?? TimeSpan.FromMilliseconds(5));
        }

        return Now - start;
    }

    /// <summary>Whether all running nodes hold the same catalog and say the same of all members.</summary>
    public bool InSync()
    {
        (ulong Catalog, ulong Members)? first = null;
        foreach (SimulatedNode node in _nodes)
        {
            if (node.Core is { } core)
            {
                (ulong, ulong) digests = (core.CatalogDigest, core.MembershipDigest);
                first ??= digests;
                if (digests != first)
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Whether every running node sees every running node alive, where and in the life in which it runs, and nobody else.</summary>
    public bool AllSeeAll() => FirstMisjudged() is null;

    /// <summary>Who is wrong about whom; null when nobody is.</summary>
    public string? FirstMisjudged()
    {
        List<SimulatedNode> running = [.. Running];
        HashSet<NodeId> ids = [.. running.Select(n => n.Id)];
        foreach (SimulatedNode observer in running)
        {
            MembershipView view = observer.Core!.Members;
            foreach (SimulatedNode node in running)
            {
                if (view.Find(node.Id) is not { Status: MemberStatus.Alive } seen || seen.BootNonce != node.BootNonce || !seen.Endpoint.Equals(node.Endpoint))
                {
                    return $"node {observer.Index} sees node {node.Index} ({node.Id.Short}), which runs with boot nonce {node.BootNonce:x} at {node.Endpoint}, as {Name(view.Find(node.Id))}";
                }
            }

            foreach (Member member in view.Members)
            {
                if (member.IsActive && !ids.Contains(member.Id))
                {
                    return $"node {observer.Index} sees {member.Id.Short}, which does not run, as {Name(member)}";
                }
            }
        }

        return null;

        static string Name(Member? member) =>
            member is null ? "nobody" : $"{member.Status} {member.Epoch}.{member.Incarnation} with boot nonce {member.BootNonce:x} at {member.Endpoint}";
    }

    /// <summary>Whether a process stands still at this moment.</summary>
    public bool AnyStalled() => _nodes.Exists(n => n.Core is not null && n.StalledUntil > Now);

    public InvariantViolationException Violation(string what) => new($"seed {Seed}, {Nodes.Count} nodes, at {Now}: {what}");

    public string Describe() => $"{FirstMisjudged() ?? "all see all"}; " + string.Join("; ", Running.Take(12).Select(n =>
        $"{n.Index} ({n.Id.Short}): {n.Core!.CatalogDigest:x16} {n.Core.MembershipDigest:x16}"));

    private void Run(in SimulatedEvent next)
    {
        if (next.Kind == EventKind.Action)
        {
            ((Action)next.Body!)();
            return;
        }

        SimulatedNode node = _nodes[next.Node];
        if (node.Life != next.Life)
        {
            return;
        }

        switch (next.Kind)
        {
            case EventKind.Timer:
                OnTimer(node, next.At);
                break;
            case EventKind.Wake:
                OnWake(node);
                break;
            case EventKind.StreamLimit:
                OnStreamLimit(node, (OpenStream)next.Body!);
                break;
            default:
                Deliver(node, (GossipInput)next.Body!);
                break;
        }
    }

    private void OnTimer(SimulatedNode node, long at)
    {
        if (at != node.ArmedAt)
        {
            return;
        }

        node.ArmedAt = long.MaxValue;
        if (node.StalledUntil > Now)
        {
            return;
        }

        if (node.Core!.NextDeadline <= Now)
        {
            Deliver(node, new GossipInput.Tick());
        }
        else
        {
            Arm(node);
        }
    }

    /// <summary>A stalled process handles what has piled up when it wakes.</summary>
    private void Deliver(SimulatedNode node, GossipInput input)
    {
        if (node.StalledUntil > Now || node.Backlog.Count > 0)
        {
            if (node.Backlog.Count < BacklogLimit || input is not GossipInput.Datagram)
            {
                node.Backlog.Enqueue(input);
            }

            WakeAt(node, node.StalledUntil);
            return;
        }

        Turn(node, input);
    }

    /// <summary>The daemon looks at the clock first and then at its inbox.</summary>
    private void OnWake(SimulatedNode node)
    {
        node.WakePending = false;
        if (node.StalledUntil > Now)
        {
            WakeAt(node, node.StalledUntil);
            return;
        }

        int life = node.Life;
        if (node.Core!.NextDeadline <= Now)
        {
            Turn(node, new GossipInput.Tick());
        }

        while (node.Life == life && node.StalledUntil <= Now && node.Backlog.TryDequeue(out GossipInput? input))
        {
            Turn(node, input);
        }
    }

    private void Turn(SimulatedNode node, GossipInput input)
    {
        Handle(node, input);
        if (node.ServiceTime > TimeSpan.Zero && node.Core is not null)
        {
            node.StalledUntil = Now + node.ServiceTime;
            WakeAt(node, node.StalledUntil);
        }
    }

    private void WakeAt(SimulatedNode node, TimeSpan at)
    {
        if (!node.WakePending)
        {
            node.WakePending = true;
            _events.Add(Math.Max(at.Ticks, _now), EventKind.Wake, node.Index, node.Life, null);
        }
    }

    private void Handle(SimulatedNode node, GossipInput input)
    {
        GossipCore core = node.Core!;
        Inputs++;
        if (input is GossipInput.Datagram datagram)
        {
            node.Received.AddDatagram(datagram.Payload.Length);
        }

        foreach (ClusterCheck check in Checks)
        {
            check.OnInput(node, input);
        }

        _effects.Clear();
        core.Handle(input, Now, _effects);
        foreach (GossipEffect effect in _effects)
        {
            Apply(node, effect);
        }

        foreach (ClusterCheck check in Checks)
        {
            check.OnHandled(node);
        }

        CheckProgress(node, core);
        Arm(node);
    }

    private void CheckProgress(SimulatedNode node, GossipCore core)
    {
        node.TurnsNow = core.NextDeadline <= Now && node.LastTurn == Now ? node.TurnsNow + 1 : 0;
        node.LastTurn = Now;
        if (node.TurnsNow > TurnsAtOneMoment)
        {
            throw Violation($"node {node.Index} keeps asking to be called at {core.NextDeadline}: the daemon would spin");
        }
    }

    private void Arm(SimulatedNode node)
    {
        long due = Math.Max(node.Core!.NextDeadline.Ticks, _now);
        if (due < node.ArmedAt)
        {
            node.ArmedAt = due;
            _events.Add(due, EventKind.Timer, node.Index, node.Life, null);
        }
    }

    private void Apply(SimulatedNode node, GossipEffect effect)
    {
        if (Trace is { } trace)
        {
            TraceEffect(trace, node, effect);
        }

        switch (effect)
        {
            case GossipEffect.Send send:
                Transmit(node, send);
                return;
            case GossipEffect.OpenStream open:
                Connect(node, open);
                break;
            case GossipEffect.Respond respond:
                Respond(node, respond);
                return;
            case GossipEffect.Persist persist:
                node.Disk.Store(persist);
                break;
            case GossipEffect.PersistEpoch epoch:
                node.Disk.Epoch = epoch.Epoch;
                break;
            case GossipEffect.RememberMembers remember:
                node.Disk.Remember(remember);
                break;
            case GossipEffect.CloneDetected clone when clone.Id == node.Id && node.BootNonce > clone.OtherBootNonce:
                TakeNewIdentity(node);
                break;
        }

        Truth.OnEffect(node, effect);
        foreach (ClusterCheck check in Checks)
        {
            check.OnEffect(node, effect);
        }

        Watch?.Invoke(node, effect);
    }

    private void Transmit(SimulatedNode from, GossipEffect.Send send)
    {
        if (send.Payload.Length is 0 or > WireLimits.PayloadBytes)
        {
            throw Violation($"node {from.Index} sends a datagram of {send.Payload.Length} bytes");
        }

        from.Sent.AddDatagram(send.Payload.Length);
        WatchSend?.Invoke(from, send.Payload);
        if (!_byEndpoint.TryGetValue(send.Endpoint, out SimulatedNode? to) || to.Core is null)
        {
            return;
        }

        GossipInput.Datagram? datagram = null;
        for (int copies = Network.Copies(from.Index, to.Index, _now, send.Payload); copies > 0; copies--)
        {
            datagram ??= new GossipInput.Datagram(from.Id, from.Endpoint, send.Payload);
            _events.Add(_now + Network.Delay(), EventKind.Input, to.Index, to.Life, datagram);
        }
    }

    private static void TraceEffect(TraceHash trace, SimulatedNode node, GossipEffect effect)
    {
        trace.Add((ulong)node.LastTurn.Ticks);
        trace.Add((ulong)node.Index);
        switch (effect)
        {
            case GossipEffect.Send send:
                trace.Add((ulong)(uint)send.Endpoint.GetHashCode());
                trace.Add(send.Payload.Span);
                break;
            case GossipEffect.OpenStream open:
                trace.Add(open.Body.Span);
                break;
            case GossipEffect.Respond respond:
                trace.Add(respond.Body.Span);
                break;
            default:
                foreach (char c in effect.GetType().Name)
                {
                    trace.Add(c);
                }

                break;
        }
    }
}
