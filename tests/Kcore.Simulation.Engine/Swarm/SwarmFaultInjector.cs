using System.Net;
using Kcore.Gossip;

namespace Kcore.Simulation.Engine.Swarm;

/// <summary>Plagues a cluster with what its plan allows, one fault at a time, and heals it in the end.</summary>
internal sealed class SwarmFaultInjector
{
    private const int MaxClones = 2;
    private static readonly TimeSpan GcPeriod = TimeSpan.FromSeconds(30);
    private readonly SwarmPlan _plan;
    private readonly GossipCluster _cluster;
    private readonly SimulatedLog _log;
    private readonly SeedStream _random;
    private readonly List<Action<Draw>> _actions = [];
    private readonly Dictionary<NodeId, SimulatedDisk> _backups = [];
    private readonly List<GossipInput.Forget> _removals = [];
    private readonly HashSet<int> _gone = [];
    private bool _healed;
    private int _splits;
    private int _moves;
    private int _clones;
    private int _replaced;

    public SwarmFaultInjector(SwarmPlan plan, GossipCluster cluster, SimulatedLog log)
    {
        (_plan, _cluster, _log) = (plan, cluster, log);
        _random = new SeedStream(plan.Seed, StreamPurpose.Faults);
        Offer(SwarmFaults.OneWayCuts, d => CutFor(d, both: false));
        Offer(SwarmFaults.PartialMesh, d => CutFor(d, both: true));
        Offer(SwarmFaults.Partitions, Split);
        Offer(SwarmFaults.Stalls, d => _cluster.Stall(d.Node, TimeSpan.FromSeconds(0.1 * Math.Pow(150, d.Strength))));
        Offer(SwarmFaults.SlowLoops, SlowDown);
        Offer(SwarmFaults.Crashes, d => CrashFor(d, loseWriteBehind: false, _ => { }));
        Offer(SwarmFaults.PowerCuts, d => CrashFor(d, loseWriteBehind: true, _ => { }));
        Offer(SwarmFaults.LostCatalogs, d => CrashFor(d, loseWriteBehind: true, LoseCatalog));
        Offer(SwarmFaults.ReplacedDisks, ReplaceDisk);
        Offer(SwarmFaults.OldBackups, BackUpOrRestore);
        Offer(SwarmFaults.ClonedDisks, Clone);
        Offer(SwarmFaults.AddressMoves, Move);
        Offer(SwarmFaults.AddressSwaps, d => _cluster.Swap(d.Node, d.Other));
        Offer(SwarmFaults.LongAbsences, StayAway);
        Offer(SwarmFaults.Leaves, Leave);
        Offer(SwarmFaults.Removals, Remove);
    }

    /// <summary>When the last of those that stay away for long comes back.</summary>
    public TimeSpan AbsentUntil { get; private set; }

    /// <summary>One fault of a kind the plan has.</summary>
    public void Inject()
    {
        // All draws are made whatever becomes of them: what one fault does must not shift the next.
        int action = _random.Next(1 << 20);
        int node = _random.Next(_plan.Nodes);
        int other = (node + 1 + _random.Next(_plan.Nodes - 1)) % _plan.Nodes;
        var draw = new Draw(_cluster.Nodes[node], _cluster.Nodes[other], _random.Exponential(TimeSpan.FromSeconds(5)), _random.NextDouble(), _random.NextUInt64());
        if (_actions.Count > 0)
        {
            _actions[action % _actions.Count](draw);
        }
    }

    /// <summary>Ends every fault and starts whoever is down and not gone for good.</summary>
    public void Heal()
    {
        _healed = true;
        _splits++;
        _cluster.Network.Heal();
        _cluster.NetworkDisturbed = _cluster.Now;
        foreach (SimulatedNode node in _cluster.Nodes)
        {
            node.ServiceTime = TimeSpan.Zero;
            if (node.Core is null && !_gone.Contains(node.Index))
            {
                Start(node);
            }
        }

        if (_plan.Has(SwarmFaults.AddressMoves) || _plan.Has(SwarmFaults.AddressSwaps))
        {
            // Where everybody has moved only discovery can help.
            foreach (SimulatedNode node in _cluster.Running.ToList())
            {
                foreach (IPEndPoint sighting in _cluster.Sightings(2))
                {
                    _cluster.Submit(node, new GossipInput.Contact(sighting));
                }
            }
        }
    }

    private void Offer(SwarmFaults fault, Action<Draw> action)
    {
        if (_plan.Has(fault))
        {
            _actions.Add(action);
        }
    }

    private void CutFor(Draw draw, bool both)
    {
        (int a, int b) = (draw.Node.Index, draw.Other.Index);
        Disturb(() => _cluster.Network.Cut(a, b));
        if (both)
        {
            Disturb(() => _cluster.Network.Cut(b, a));
        }

        Later(draw.Time, () =>
        {
            _cluster.Network.Mend(a, b);
            _cluster.Network.Mend(b, a);
        });
    }

    private void Split(Draw draw)
    {
        int split = ++_splits;
        Disturb(() => _cluster.Network.Split(i => (int)(draw.Bits >> (i % 64)) & 1));
        Later(draw.Time * 2, () =>
        {
            if (_splits == split)
            {
                _cluster.Network.Split(_ => 0);
            }
        });
    }

    private void SlowDown(Draw draw)
    {
        draw.Node.ServiceTime = TimeSpan.FromMilliseconds(0.5 * Math.Pow(60, draw.Strength));
        _cluster.At(_cluster.Now + draw.Time, () =>
        {
            draw.Node.ServiceTime = TimeSpan.Zero;
            draw.Node.LastDisturbed = _cluster.Now;
        });
    }

    private void CrashFor(Draw draw, bool loseWriteBehind, Action<SimulatedNode> then)
    {
        if (draw.Node.Core is null)
        {
            return;
        }

        _cluster.Crash(draw.Node, loseWriteBehind, hostIsUp: (draw.Bits & 1) == 0);
        then(draw.Node);
        StartAfter(draw.Node, draw.Time);
    }

    /// <summary>Each leaves an identity behind that nobody has any more; more of them than nodes is no cluster, but a graveyard.</summary>
    private void ReplaceDisk(Draw draw)
    {
        if (_replaced < _plan.Nodes / 2)
        {
            _replaced++;
            CrashFor(draw, loseWriteBehind: true, n => n.ReplaceDisk());
        }
    }

    private void LoseCatalog(SimulatedNode node)
    {
        _cluster.Truth.Forsake(node.Id);
        node.Disk.LoseCatalog();
    }

    private void BackUpOrRestore(Draw draw)
    {
        NodeId id = draw.Node.Id;
        if (draw.Strength < 0.5 || !_backups.TryGetValue(id, out SimulatedDisk? backup))
        {
            _backups[id] = draw.Node.Disk.Copy();
            return;
        }

        CrashFor(draw, loseWriteBehind: true, node =>
        {
            _cluster.Truth.Forsake(id);
            node.Disk = backup.Copy();
        });
    }

    private void Clone(Draw draw)
    {
        if (_clones == MaxClones || draw.Node.Core is null)
        {
            return;
        }

        _clones++;
        _cluster.Truth.Forsake(draw.Node.Id);
        SimulatedNode clone = _cluster.AddHost();
        clone.Disk = draw.Node.Disk.Copy();
        Start(clone);
    }

    private void Move(Draw draw)
    {
        int number = ++_moves;
        _cluster.Move(draw.Node, new IPEndPoint(new IPAddress([10, 200, (byte)(number >> 8), (byte)number]), 7946));
    }

    private void StayAway(Draw draw)
    {
        if (draw.Node.Core is null || AbsentUntil > TimeSpan.Zero)
        {
            return;
        }

        TimeSpan away = _plan.Options.TombstoneMax + (GcPeriod * 2.5);
        AbsentUntil = _cluster.Now + away;
        _cluster.Crash(draw.Node, loseWriteBehind: false, hostIsUp: false);
        StartAfter(draw.Node, away);
    }

    private void Leave(Draw draw)
    {
        // Three stay: two survivors of five or more bury nobody, on purpose.
        if (draw.Node.Core is null || _gone.Count >= _plan.Nodes - 3)
        {
            return;
        }

        _cluster.Leave(draw.Node);
        if (draw.Strength < 0.5)
        {
            _gone.Add(draw.Node.Index);
        }
        else
        {
            StartAfter(draw.Node, draw.Time + TimeSpan.FromSeconds(1.5));
        }
    }

    /// <summary>A node is given up: it stops for ever, and the log says that it is removed. Its host comes back as another.</summary>
    private void Remove(Draw draw)
    {
        if (draw.Node.Core is null || _removals.Count >= 3)
        {
            return;
        }

        var removal = new GossipInput.Forget(draw.Node.Id, uint.MaxValue);
        foreach (SimulatedNode bearer in _cluster.Nodes.Where(n => n.Id == removal.Id).ToList())
        {
            // A copy of its disk is removed as well.
            _cluster.Crash(bearer, loseWriteBehind: false);
            bearer.ReplaceDisk();
        }

        _cluster.Truth.Forget(removal.Id);
        _removals.Add(removal);
        foreach (SimulatedNode node in _cluster.Running.ToList())
        {
            _cluster.Submit(node, removal);
        }

        StartAfter(draw.Node, draw.Time);
    }

    private void StartAfter(SimulatedNode node, TimeSpan time)
    {
        int life = node.Life;
        _cluster.At(_cluster.Now + time, () =>
        {
            if (node.Core is null && !_healed && (node.Life == life || node.Life == life + 1) && !_gone.Contains(node.Index))
            {
                Start(node);
            }
        });
    }

    private void Start(SimulatedNode node)
    {
        _cluster.Start(node, [_cluster.Nodes[0].Endpoint, .. _cluster.Sightings(2)]);
        foreach (GossipInput.Forget removal in _removals)
        {
            _cluster.Submit(node, removal);
        }

        _log.Mirror(node);
    }

    private void Later(TimeSpan after, Action mend) => _cluster.At(_cluster.Now + after, () => Disturb(mend));

    private void Disturb(Action change)
    {
        change();
        _cluster.NetworkDisturbed = _cluster.Now;
    }

    /// <summary>What one fault may use of the dice.</summary>
    private readonly record struct Draw(SimulatedNode Node, SimulatedNode Other, TimeSpan Time, double Strength, ulong Bits);
}
