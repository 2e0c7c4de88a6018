using System.Net;
using Kcore.Gossip;

namespace Kcore.Fuzz.Targets;

/// <summary>
/// A few real cores on a bad network, only to hear what they say to each other: joins, probes, rumors, comparisons, deltas,
/// snapshots, streams. Everything comes from one seed.
/// </summary>
internal sealed class GossipRecorder
{
    private const int Nodes = 5;

    private readonly Random _random = new(7);
    private readonly GossipCore[] _cores;
    private readonly PriorityQueue<(int To, GossipInput Input), (TimeSpan Due, int Order)> _mail = new();
    private readonly List<GossipEffect> _effects = [];
    private TimeSpan _now;
    private int _order;

    private GossipRecorder() => _cores = [.. Enumerable.Range(0, Nodes).Select(MakeCore)];

    /// <summary>Payloads of datagrams, requests on streams and pieces of answers.</summary>
    public List<byte[]> Datagrams { get; } = [];

    public List<byte[]> Requests { get; } = [];

    public List<byte[]> Answers { get; } = [];

    public static GossipRecorder Record()
    {
        var recorder = new GossipRecorder();
        recorder.Live();
        return recorder;
    }

    public static NodeId Id(int node) => new((UInt128)(uint)(node + 1));

    public static IPEndPoint At(int node) => new(new IPAddress([192, 0, 2, (byte)(node + 1)]), 7946);

    public static GossipCore MakeCore(int node) => new(
        new GossipOptions { TombstoneMin = TimeSpan.FromSeconds(5) },
        new LocalMember(Id(node), 1, (ulong)node + 77, At(node), 7947, $"node-{node}"),
        new CatalogState(),
        new Random(node),
        TimeSpan.Zero);

    private void Live()
    {
        for (int node = 1; node < Nodes; node++)
        {
            Give(node, new GossipInput.Contact(At(0)));
        }

        for (int round = 0; round < 80; round++)
        {
            int node = _random.Next(Nodes);
            Give(node, new GossipInput.Put([new LocalWrite($"key-{_random.Next(12)}", (ushort)_random.Next(9), new byte[_random.Next(90)], Tombstone: _random.Next(3) == 0)]));
            if (round % 20 == 10)
            {
                // More than fits datagrams, so that streams are opened.
                Give(node, new GossipInput.Put([.. Enumerable.Range(0, 60).Select(i => new LocalWrite($"bulk-{round}-{i}", 1, new byte[120]))]));
                Give(0, new GossipInput.PutCluster((ulong)round - 10, (ulong)round, 1, [new LocalWrite($"lease-{round}", 6, new byte[30], Version: (ulong)round)]));
            }

            Run(TimeSpan.FromMilliseconds(500));
        }

        Give(3, new GossipInput.Leave());
        Run(TimeSpan.FromSeconds(2));
    }

    private void Run(TimeSpan time)
    {
        TimeSpan end = _now + time;
        while (true)
        {
            TimeSpan due = _cores.Min(core => core.NextDeadline);
            bool isMail = _mail.TryPeek(out _, out (TimeSpan Due, int) first) && first.Due <= due;
            due = isMail ? first.Due : due;
            if (due > end)
            {
                _now = end;
                return;
            }

            _now = due > _now ? due : _now;
            if (isMail)
            {
                (int to, GossipInput input) = _mail.Dequeue();
                Give(to, input);
            }
            else
            {
                Give(Array.FindIndex(_cores, core => core.NextDeadline <= due), new GossipInput.Tick());
            }
        }
    }

    private void Give(int node, GossipInput input)
    {
        _effects.Clear();
        _cores[node].Handle(input, _now, _effects);
        foreach (GossipEffect effect in _effects)
        {
            switch (effect)
            {
                case GossipEffect.Send send:
                    Datagrams.Add(send.Payload.ToArray());
                    if (_random.Next(5) != 0)
                    {
                        Post(Host(send.Endpoint), new GossipInput.Datagram(Id(node), At(node), send.Payload));
                    }

                    break;
                case GossipEffect.OpenStream open:
                    Requests.Add(open.Body.ToArray());
                    Post(Host(open.Endpoint), new GossipInput.StreamRequest((open.Stream * Nodes) + node, Id(node), open.Body));
                    break;
                case GossipEffect.Respond respond:
                    Answers.Add(respond.Body.ToArray());
                    Post((int)(respond.Stream % Nodes), new GossipInput.StreamReply(respond.Stream / Nodes, respond.Body, respond.Last));
                    if (!respond.Last)
                    {
                        Post(node, new GossipInput.StreamWritable(respond.Stream));
                    }

                    break;
                default:
                    break;
            }
        }
    }

    private void Post(int to, GossipInput input) => _mail.Enqueue((to, input), (_now + TimeSpan.FromMilliseconds(_random.Next(1, 30)), _order++));

    private static int Host(IPEndPoint endpoint) => endpoint.Address.GetAddressBytes()[3] - 1;
}
