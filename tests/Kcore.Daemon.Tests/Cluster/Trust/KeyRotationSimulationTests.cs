using System.Collections.Immutable;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Tests.Cluster.Trust;

/// <summary>
/// Whole clusters that rotate, in random order, with late and lost knowledge, restarts and splits. A datagram is sealed as
/// the daemon seals it: with what <see cref="KeyRing.SendKeys"/> names, for what the sender knows of the receiver.
/// </summary>
public sealed class KeyRotationSimulationTests
{
    private const int Steps = 3_000;

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 40)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void One_rotation_after_the_other_loses_no_datagram_and_sends_with_two_keys_at_most(int seed)
    {
        var cluster = new Cluster(seed, 2 + (seed % 6));
        int begun = 0;
        for (int step = 0; step < Steps; step++)
        {
            begun += cluster.Random.Next(100) == 0 && cluster.IsQuiet && cluster.TryRotate(cluster.AnyNode()) ? 1 : 0;
            cluster.Act();
            foreach (Node from in cluster.Nodes)
            {
                HashSet<uint> used = [];
                foreach (Node to in cluster.Nodes.Where(n => n != from))
                {
                    ImmutableArray<uint> keys = from.KeysFor(to);
                    used.UnionWith(keys);
                    Assert.True(keys.Any(to.Holding.Holds), $"seed {seed}, step {step}: {from} sends to {to} with keys it does not hold");
                }

                Assert.True(used.Count <= 2, $"seed {seed}, step {step}: {from} seals with {used.Count} keys");
                Assert.True(from.Ring.KeyIds.Count <= 2, $"seed {seed}, step {step}: {from} holds {from.Ring.KeyIds.Count} keys");
            }
        }

        Assert.True(begun > 0, $"seed {seed}: no rotation");
        cluster.Settle();
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Splits_and_rotations_on_every_side_separate_nobody_who_shares_a_key(int seed)
    {
        var cluster = new Cluster(seed, 3 + (seed % 5)) { Retires = false };
        for (int step = 0; step < Steps; step++)
        {
            switch (cluster.Random.Next(400))
            {
                case 0:
                    cluster.Split();
                    break;
                case 1 or 2:
                    cluster.Heal();
                    break;
                case 3:
                    cluster.TryRotate(cluster.AnyNode());
                    break;
            }

            cluster.Act();
            foreach (Node from in cluster.Nodes)
            {
                foreach (Node to in cluster.Nodes.Where(n => n != from && cluster.Reach(from, n)))
                {
                    bool shares = from.Holding.Held.Any(k => to.Holding.Holds(k.Id));
                    bool oneWay = from.KeysFor(to).Any(to.Holding.Holds) || to.KeysFor(from).Any(from.Holding.Holds);
                    Assert.True(!shares || oneWay, $"seed {seed}, step {step}: {from} and {to} share a key and do not understand each other");
                }
            }
        }

        cluster.Retires = true;
        cluster.Heal();
        cluster.Settle();
    }

    /// <summary>A node: the ring as on its disk, and what it knows of the others.</summary>
    private sealed class Node(int index, KeyName first)
    {
        public int Index { get; } = index;

        public NodeId Id { get; } = new((UInt128)(uint)(index + 1));

        public KeyHolding Holding { get; private set; } = new([first], first);

        public KeyRing Ring { get; } = new(Secret(first.Id));

        /// <summary>What the others state, as far as it has come here, with how new it is.</summary>
        public Dictionary<NodeId, (long Version, KeyHolding Holding)> Known { get; } = [];

        public long Version { get; private set; }

        public HashSet<NodeId> Alive { get; } = [];

        /// <summary>The key of the latest datagram of each node.</summary>
        public Dictionary<NodeId, uint> Heard { get; } = [];

        public ImmutableArray<uint> KeysFor(Node to) => Ring.SendKeys(id =>
            (Known.TryGetValue(to.Id, out (long, KeyHolding Holding) known) && known.Holding.Holds(id)) || Heard.GetValueOrDefault(to.Id) == id);

        public void Change(KeyHolding next)
        {
            Holding = next;
            Version++;
            Ring.Replace([.. next.Held.Select(k => Ring.Find(k.Id) ?? Secret(k.Id))], next.Active.Id);
        }

        public override string ToString() => $"node {Index} [{string.Join(' ', Holding.Held.Select(k => (k == Holding.Active ? "*" : "") + $"{k.Generation}/{k.Text}"))}]";
    }

    private sealed class Cluster
    {
        private readonly int _seed;
        private int[] _side;
        private byte _nextKey = 1;

        public Cluster(int seed, int count)
        {
            _seed = seed;
            Random = new Random(seed);
            KeyName first = NewKey(0);
            Nodes = [.. Enumerable.Range(0, count).Select(i => new Node(i, first))];
            _side = new int[count];
            foreach (Node node in Nodes)
            {
                node.Alive.UnionWith(Nodes.Where(n => n != node).Select(n => n.Id));
            }
        }

        public Random Random { get; }

        public ImmutableArray<Node> Nodes { get; }

        public bool Retires { get; set; } = true;

        public bool IsQuiet => Nodes.All(n => n.Holding.Equals(Nodes[0].Holding) && n.Holding.Held.Length == 1);

        public Node AnyNode() => Nodes[Random.Next(Nodes.Length)];

        public bool Reach(Node a, Node b) => _side[a.Index] == _side[b.Index];

        public void Split() => _side = [.. Nodes.Select(_ => Random.Next(2 + Random.Next(2)))];

        public void Heal() => _side = new int[Nodes.Length];

        /// <summary>As the daemon refuses it: not while this node sees a rotation under way.</summary>
        public bool TryRotate(Node node)
        {
            bool free = node.Holding.Held.Length == 1 && node.Alive.All(id =>
                node.Known.TryGetValue(id, out (long, KeyHolding Holding) known) && known.Holding.Held.Length == 1 && known.Holding.Active == node.Holding.Active);
            if (free)
            {
                node.Change(node.Holding with { Held = node.Holding.Held.Add(NewKey(node.Holding.Newest.Generation + 1)) });
            }

            return free;
        }

        public void Act()
        {
            Node node = AnyNode(), other = AnyNode();
            switch (Random.Next(10))
            {
                case 0:
                    // A restart: what was heard is forgotten, what is on disk stays.
                    node.Heard.Clear();
                    if (Random.Next(4) == 0)
                    {
                        node.Known.Clear();
                    }

                    break;
                case 1 or 2:
                    // The failure detector notices a split, and its end, after a while only.
                    foreach (Node n in Nodes.Where(n => n != node))
                    {
                        _ = Reach(node, n) ? node.Alive.Add(n.Id) : node.Alive.Remove(n.Id);
                    }

                    break;
                case < 6:
                    Tell(node, other);
                    break;
                default:
                    Step(node);
                    break;
            }
        }

        /// <summary>With connectivity and without new rotations everybody ends with one and the same key.</summary>
        public void Settle()
        {
            for (int step = 0; step < 200_000; step++)
            {
                if (IsQuiet)
                {
                    return;
                }

                Act();
            }

            Assert.Fail($"seed {_seed}: not one key in the end: {string.Join("; ", Nodes)}");
        }

        /// <summary>A datagram and what it carries: everything the sender knows, if the receiver can open it.</summary>
        private void Tell(Node from, Node to)
        {
            uint key = from.KeysFor(to).FirstOrDefault(to.Holding.Holds);
            if (from == to || !Reach(from, to) || key == 0)
            {
                return;
            }

            to.Heard[from.Id] = key;
            Learn(to, from.Id, (from.Version, from.Holding));
            foreach ((NodeId id, (long, KeyHolding) known) in from.Known)
            {
                Learn(to, id, known);
            }
        }

        private static void Learn(Node node, NodeId about, (long Version, KeyHolding Holding) news)
        {
            if (about != node.Id && (!node.Known.TryGetValue(about, out (long Version, KeyHolding) known) || known.Version < news.Version))
            {
                node.Known[about] = news;
            }
        }

        private void Step(Node node)
        {
            KeyHolding own = node.Holding;
            switch (KeyRotation.Next(own, node.Alive, node.Known.ToDictionary(k => k.Key, k => k.Value.Holding)))
            {
                case KeyStep.Fetch fetch:
                    // A stream needs a key in common and a holder that still holds what it said.
                    Node? giver = Nodes.FirstOrDefault(n => fetch.From.Contains(n.Id) && Reach(node, n)
                        && n.Holding.Held.Contains(fetch.Key) && n.Holding.Held.Any(k => own.Holds(k.Id)));
                    if (giver is not null)
                    {
                        node.Change(own with { Held = [.. own.Held.Where(k => k != fetch.Drop).Append(fetch.Key).Order()] });
                    }

                    break;
                case KeyStep.Use use:
                    node.Change(own with { Active = use.Key });
                    break;
                case KeyStep.Retire when Retires && Nodes.All(n => n == node || !Reach(node, n) || n.Heard.GetValueOrDefault(node.Id, own.Active.Id) == own.Active.Id):
                    // The overlap: everybody has heard this node since it changed.
                    node.Change(new KeyHolding([own.Active], own.Active));
                    break;
            }
        }

        private KeyName NewKey(uint generation)
        {
            byte seed = _nextKey++;
            return new KeyName(generation, Secret(seed).KeyId);
        }

        private static ClusterSecret Secret(byte seed)
        {
            ClusterSecret secret = new([.. Enumerable.Repeat(seed, ClusterSecret.Size)]);
            Known[secret.KeyId] = seed;
            return secret;
        }
    }

    [ThreadStatic]
    private static Dictionary<uint, byte>? _known;

    private static Dictionary<uint, byte> Known => _known ??= [];

    private static ClusterSecret Secret(uint keyId) => new([.. Enumerable.Repeat(Known[keyId], ClusterSecret.Size)]);
}
