using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip.Tests;

/// <summary>Member 1 alone; the others are frames made by hand.</summary>
internal sealed class LoneCore(GossipOptions? options = null)
{
    public GossipCore Core { get; } =
        new(options ?? new GossipOptions(), new LocalMember(Id(1), 1, 1, At(1), 7947, "node-1"), new CatalogState(), new Random(5), TimeSpan.Zero);

    public TimeSpan Now { get; private set; }

    /// <summary>Effects of the latest call.</summary>
    public List<GossipEffect> Effects { get; } = [];

    public IEnumerable<GossipEffect.Send> Sent => Effects.OfType<GossipEffect.Send>();

    public static IPEndPoint At(int host) => new(new IPAddress([10, 0, 0, (byte)host]), 7946);

    public static NodeId Id(int n) => new((UInt128)n);

    public static Member Peer(int n) => new()
    {
        Id = Id(n),
        Epoch = 1,
        BootNonce = (ulong)n,
        Endpoint = At(n),
        RaftPort = 7947,
        Name = $"node-{n}",
    };

    public static CatalogEntry Entry(int origin, string key, ulong version, byte value = 1, bool isTombstone = false) =>
        CatalogEntry.Create(Id(origin), key, version, 1, isTombstone ? EntryFlags.Tombstone : EntryFlags.None, isTombstone ? default : new byte[] { value });

    public static byte[] Delta(int origin, ulong epoch, ulong from, ulong to, params CatalogEntry[] entries) =>
        Frames.Delta(new OriginHead(Id(origin), epoch, to, 0, true), from, to, entries);

    public void Handle(GossipInput input)
    {
        Effects.Clear();
        Core.Handle(input, Now, Effects);
    }

    public void Receive(int from, params byte[][] frames) =>
        Handle(new GossipInput.Datagram(Id(from), At(from), frames.SelectMany(f => f).ToArray()));

    /// <summary>Nothing happens for so long, and no deadline is served.</summary>
    public void Sleep(TimeSpan time) => Now += time;

    /// <summary>
    /// Lets time pass. Peers for which <paramref name="answers"/> holds acknowledge pings, agree in everything, and say
    /// that they could not reach whom they were asked to probe. Gives everything that was done.
    /// </summary>
    public List<(TimeSpan At, GossipEffect Effect)> Run(TimeSpan time, Func<NodeId, bool> answers, ulong heldEpoch = 0, ulong heldVersion = 0)
    {
        List<(TimeSpan, GossipEffect)> all = [];
        TimeSpan end = Now + time;
        int still = 0;
        while (Core.NextDeadline <= end)
        {
            still = Core.NextDeadline > Now ? 0 : still + 1;
            Assert.True(still < 1000, "It wants to be called again at once, for ever.");
            Now = Core.NextDeadline > Now ? Core.NextDeadline : Now;
            Handle(new GossipInput.Tick());
            all.AddRange(Effects.Select(effect => (Now, effect)));
            foreach (GossipEffect.Send send in Sent.Where(send => send.To is { } to && answers(to)).ToList())
            {
                NodeId to = send.To!.Value;
                foreach ((FrameType type, byte[] body) in Unpack(send))
                {
                    if (type is not (FrameType.Ping or FrameType.PingRequest))
                    {
                        continue;
                    }

                    var reader = new MessagePackReader(body);
                    reader.ReadArrayHeader();
                    ulong sequence = reader.ReadUInt64();
                    byte[] answer = type == FrameType.Ping
                        ? Frames.Ack(sequence, new StateDigest(Core.CatalogDigest, Core.MembershipDigest, heldEpoch, heldVersion), Id(1))
                        : Frames.Nack(sequence, reader.ReadId());
                    Handle(new GossipInput.Datagram(to, send.Endpoint, answer));
                    all.AddRange(Effects.Select(effect => (Now, effect)));
                }
            }
        }

        Now = end;
        return all;
    }

    /// <summary>The frames of one datagram.</summary>
    public static List<(FrameType Type, byte[] Body)> Unpack(GossipEffect.Send send)
    {
        List<(FrameType, byte[])> frames = [];
        for (ReadOnlyMemory<byte> rest = send.Payload; rest.Length > 0;)
        {
            int length = (rest.Span[1] << 8) | rest.Span[2];
            frames.Add(((FrameType)rest.Span[0], rest.Slice(Frames.HeaderBytes, length).ToArray()));
            rest = rest[(Frames.HeaderBytes + length)..];
        }

        return frames;
    }

    /// <summary>Kinds of the frames sent by the latest call.</summary>
    public List<FrameType> Kinds() => [.. Sent.SelectMany(Unpack).Select(frame => frame.Type)];
}
