using System.Buffers;
using System.Buffers.Binary;
using System.Net;

namespace Kcore.Gossip.Wire;

/// <summary>What every probe and every answer says of the sender's state.</summary>
/// <param name="HeldEpoch">Epoch of the receiver's own origin that the sender holds.</param>
/// <param name="HeldVersion">Watermark of the receiver's own origin that the sender holds: the acknowledgement tombstones wait for.</param>
internal readonly record struct StateDigest(ulong Catalog, ulong Members, ulong HeldEpoch, ulong HeldVersion);

/// <summary>One origin in a comparison.</summary>
/// <param name="IsSource">The sender computes this origin from the log itself, so its content is right.</param>
internal readonly record struct HeadDigest(NodeId Origin, ulong Epoch, ulong Version, ulong Content, bool IsSource = false);

/// <summary>One member in a comparison.</summary>
internal readonly record struct MemberDigest(NodeId Id, uint Epoch, uint Incarnation, MemberStatus Status);

/// <summary>Writes whole frames. The reading side is in the core, frame by frame.</summary>
internal static class Frames
{
    public const int HeaderBytes = 3;

    /// <summary>Upper bound of one head or member digest with its array header.</summary>
    public const int HeadBytes = 1 + 18 + 9 + 9 + 9;

    private delegate void WriteBody(MessagePackWriter writer);

    public static byte[] Ping(ulong sequence, NodeId? target, StateDigest digest) => Build(FrameType.Ping, w =>
    {
        w.WriteArrayHeader(6);
        w.WriteUInt64(sequence);
        WriteOptionalId(w, target);
        WriteDigest(w, digest);
    });

    public static byte[] Ack(ulong sequence, StateDigest digest) => Build(FrameType.Ack, w =>
    {
        w.WriteArrayHeader(5);
        w.WriteUInt64(sequence);
        WriteDigest(w, digest);
    });

    public static byte[] PingRequest(ulong sequence, NodeId target, IPEndPoint endpoint) => Build(FrameType.PingRequest, w =>
    {
        w.WriteArrayHeader(3);
        w.WriteUInt64(sequence);
        w.WriteId(target);
        EndpointCodec.Write(w, endpoint);
    });

    public static byte[] Vouch(ulong sequence, NodeId target) => SequenceAndId(FrameType.Vouch, sequence, target);

    public static byte[] Nack(ulong sequence, NodeId target) => SequenceAndId(FrameType.Nack, sequence, target);

    public static byte[] Member(Member member, NodeId? accuser) => Build(FrameType.Member, w =>
    {
        w.WriteArrayHeader(2);
        MemberCodec.Write(w, member);
        WriteOptionalId(w, accuser);
    });

    public static byte[] Delta(OriginState origin, ulong from, ulong to, IReadOnlyCollection<CatalogEntry> entries) => Build(FrameType.Delta, w =>
    {
        w.WriteArrayHeader(6);
        w.WriteId(origin.Origin);
        w.WriteUInt64(origin.Epoch);
        w.WriteUInt64(origin.GcFloor);
        w.WriteUInt64(from);
        w.WriteUInt64(to);
        WriteEntries(w, entries);
    });

    public static byte[] Snapshot(OriginState origin, int part, bool last, IReadOnlyCollection<CatalogEntry> entries) => Build(FrameType.Snapshot, w =>
    {
        w.WriteArrayHeader(7);
        w.WriteId(origin.Origin);
        w.WriteUInt64(origin.Epoch);
        w.WriteUInt64(origin.Version);
        w.WriteUInt64(origin.GcFloor);
        w.WriteUInt64((ulong)part);
        w.WriteBoolean(last);
        WriteEntries(w, entries);
    });

    public static byte[] Buckets(DigestKind kind, ReadOnlySpan<ulong> sums)
    {
        byte[] bytes = new byte[sums.Length * 8];
        for (int i = 0; i < sums.Length; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * 8), sums[i]);
        }

        return Build(FrameType.Buckets, w =>
        {
            w.WriteArrayHeader(2);
            w.WriteUInt64((byte)kind);
            w.WriteBinary(bytes);
        });
    }

    /// <param name="buckets">Bit set of the buckets that are listed in full; 0 when the heads are only hints.</param>
    public static byte[] Heads(ulong buckets, IReadOnlyCollection<HeadDigest> heads) => Build(FrameType.Heads, w =>
    {
        w.WriteArrayHeader(2);
        w.WriteUInt64(buckets);
        w.WriteArrayHeader(heads.Count);
        foreach (HeadDigest head in heads)
        {
            w.WriteArrayHeader(5);
            w.WriteId(head.Origin);
            w.WriteUInt64(head.Epoch);
            w.WriteUInt64(head.Version);
            w.WriteUInt64(head.Content);
            w.WriteBoolean(head.IsSource);
        }
    });

    public static byte[] MemberHeads(ulong buckets, IReadOnlyCollection<MemberDigest> members) => Build(FrameType.MemberHeads, w =>
    {
        w.WriteArrayHeader(2);
        w.WriteUInt64(buckets);
        w.WriteArrayHeader(members.Count);
        foreach (MemberDigest member in members)
        {
            w.WriteArrayHeader(4);
            w.WriteId(member.Id);
            w.WriteUInt64(member.Epoch);
            w.WriteUInt64(member.Incarnation);
            w.WriteUInt64((uint)member.Status);
        }
    });

    public static byte[] MemberRequest(IReadOnlyCollection<NodeId> ids) => Build(FrameType.MemberRequest, w =>
    {
        w.WriteArrayHeader(1);
        w.WriteArrayHeader(ids.Count);
        foreach (NodeId id in ids)
        {
            w.WriteId(id);
        }
    });

    /// <summary>Asks for what follows these versions; epoch 0 asks for a snapshot.</summary>
    public static byte[] DeltaRequest(IReadOnlyCollection<HeadDigest> wanted) => Build(FrameType.DeltaRequest, w =>
    {
        w.WriteArrayHeader(1);
        w.WriteArrayHeader(wanted.Count);
        foreach (HeadDigest head in wanted)
        {
            w.WriteArrayHeader(3);
            w.WriteId(head.Origin);
            w.WriteUInt64(head.Epoch);
            w.WriteUInt64(head.Version);
        }
    });

    /// <summary>What the receiver lacks does not fit datagrams: it should open a stream to the sender.</summary>
    public static byte[] StreamHint() => Build(FrameType.StreamHint, w => w.WriteArrayHeader(0));

    public static StateDigest ReadDigest(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadUInt64(WireLimits.MaxVersion));

    public static NodeId? ReadOptionalId(ref MessagePackReader reader) => reader.TryReadNil() ? null : reader.ReadId();

    private static byte[] SequenceAndId(FrameType type, ulong sequence, NodeId id) => Build(type, w =>
    {
        w.WriteArrayHeader(2);
        w.WriteUInt64(sequence);
        w.WriteId(id);
    });

    private static void WriteDigest(MessagePackWriter writer, StateDigest digest)
    {
        writer.WriteUInt64(digest.Catalog);
        writer.WriteUInt64(digest.Members);
        writer.WriteUInt64(digest.HeldEpoch);
        writer.WriteUInt64(digest.HeldVersion);
    }

    private static void WriteOptionalId(MessagePackWriter writer, NodeId? id)
    {
        if (id is { } known)
        {
            writer.WriteId(known);
        }
        else
        {
            writer.WriteNil();
        }
    }

    private static void WriteEntries(MessagePackWriter writer, IReadOnlyCollection<CatalogEntry> entries)
    {
        writer.WriteArrayHeader(entries.Count);
        foreach (CatalogEntry entry in entries)
        {
            writer.WriteRaw(entry.Raw.Span);
        }
    }

    private static byte[] Build(FrameType type, WriteBody writeBody)
    {
        var output = new ArrayBufferWriter<byte>(128);
        output.GetSpan(HeaderBytes);
        output.Advance(HeaderBytes);
        writeBody(new MessagePackWriter(output));
        byte[] frame = output.WrittenSpan.ToArray();
        frame[0] = (byte)type;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(1), checked((ushort)(frame.Length - HeaderBytes)));
        return frame;
    }
}
