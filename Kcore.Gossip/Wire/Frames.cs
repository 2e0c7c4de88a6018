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
internal readonly record struct HeadDigest(NodeId Origin, ulong Epoch, ulong Version, ulong Content, bool IsSource = false, Surface Surface = default)
{
    /// <summary>Bytes on the wire, at most.</summary>
    public int Bytes => Frames.HeadBytes + (Surface == default ? 0 : Frames.SurfaceBytes);
}

/// <summary>One member in a comparison.</summary>
internal readonly record struct MemberDigest(NodeId Id, uint Epoch, ulong BootNonce, uint Incarnation, MemberStatus Status);

/// <summary>Writes whole frames. The reading side is in the core, frame by frame.</summary>
internal static class Frames
{
    public const int HeaderBytes = 3;

    /// <summary>Upper bound of one head or member digest with its array header.</summary>
    public const int HeadBytes = 1 + 18 + 9 + 9 + 9 + 1;

    /// <summary>Upper bound of what a head adds that has something floating or a later epoch.</summary>
    public const int SurfaceBytes = 9 + 9 + 1;

    private const int ScratchBytes = 512;

    /// <summary>Frames are built one at a time and copied out; the room they are built in is kept.</summary>
    [ThreadStatic]
    private static ArrayBufferWriter<byte>? s_scratch;

    public static byte[] Ping(ulong sequence, NodeId? target, StateDigest digest)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(6);
        w.WriteUInt64(sequence);
        WriteOptionalId(w, target);
        WriteDigest(w, digest);
        return End(FrameType.Ping);
    }

    /// <param name="to">Whose origin the digest speaks of; by the time it arrives somebody else may have the address.</param>
    public static byte[] Ack(ulong sequence, StateDigest digest, NodeId to)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(6);
        w.WriteUInt64(sequence);
        WriteDigest(w, digest);
        w.WriteUInt64(Addressee(to));
        return End(FrameType.Ack);
    }

    /// <param name="window">How long the requester waits; rounded to milliseconds, at most a minute.</param>
    public static byte[] PingRequest(ulong sequence, NodeId target, IPEndPoint endpoint, TimeSpan window)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(4);
        w.WriteUInt64(sequence);
        w.WriteId(target);
        EndpointCodec.Write(w, endpoint);
        w.WriteUInt64((ulong)Math.Clamp(window.TotalMilliseconds, 0, ushort.MaxValue));
        return End(FrameType.PingRequest);
    }

    public static byte[] Vouch(ulong sequence, NodeId target) => SequenceAndId(FrameType.Vouch, sequence, target);

    public static byte[] Nack(ulong sequence, NodeId target) => SequenceAndId(FrameType.Nack, sequence, target);

    public static byte[] Member(Member member, Accusation? accusation)
    {
        MessagePackWriter w = Begin();
        bool witnessed = accusation is { Witnesses.IsEmpty: false };
        w.WriteArrayHeader(witnessed ? 3 : 2);
        MemberCodec.Write(w, member);
        WriteOptionalId(w, accusation?.Accuser);
        if (witnessed)
        {
            w.WriteArrayHeader(accusation!.Witnesses.Length);
            foreach (NodeId witness in accusation.Witnesses)
            {
                w.WriteId(witness);
            }
        }

        return End(FrameType.Member);
    }

    public static byte[] Delta(OriginHead origin, ulong from, ulong to, IReadOnlyCollection<CatalogEntry> entries)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(6);
        w.WriteId(origin.Origin);
        w.WriteUInt64(origin.Epoch);
        w.WriteUInt64(origin.GcFloor);
        w.WriteUInt64(from);
        w.WriteUInt64(to);
        WriteEntries(w, entries);
        return End(FrameType.Delta);
    }

    public static byte[] Snapshot(OriginHead origin, int part, bool last, IReadOnlyCollection<CatalogEntry> entries)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(7);
        w.WriteId(origin.Origin);
        w.WriteUInt64(origin.Epoch);
        w.WriteUInt64(origin.Version);
        w.WriteUInt64(origin.GcFloor);
        w.WriteUInt64((ulong)part);
        w.WriteBoolean(last);
        WriteEntries(w, entries);
        return End(FrameType.Snapshot);
    }

    /// <summary>Entries above the watermark of their origin: they say nothing of what lies between.</summary>
    public static byte[] Floating(NodeId origin, ulong epoch, IReadOnlyCollection<CatalogEntry> entries)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(3);
        w.WriteId(origin);
        w.WriteUInt64(epoch);
        WriteEntries(w, entries);
        return End(FrameType.Floating);
    }

    /// <param name="quarter">Which part of the division the sums are of, see <see cref="BucketSet.Quarter"/>.</param>
    public static byte[] Buckets(DigestKind kind, ReadOnlySpan<ulong> sums, byte quarter)
    {
        byte[] bytes = new byte[sums.Length * 8];
        for (int i = 0; i < sums.Length; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * 8), sums[i]);
        }

        MessagePackWriter w = Begin();
        w.WriteArrayHeader(3);
        w.WriteUInt64((byte)kind);
        w.WriteBinary(bytes);
        w.WriteUInt64(quarter);
        return End(FrameType.Buckets);
    }

    /// <param name="buckets">The buckets that are listed in full; none when the heads are only hints.</param>
    public static byte[] Heads(BucketSet buckets, IReadOnlyCollection<HeadDigest> heads)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(3);
        w.WriteUInt64(buckets.Bits);
        w.WriteUInt64(buckets.Quarter);
        w.WriteArrayHeader(heads.Count);
        foreach (HeadDigest head in heads)
        {
            bool isPlain = head.Surface == default;
            w.WriteArrayHeader(isPlain ? 5 : 8);
            w.WriteId(head.Origin);
            w.WriteUInt64(head.Epoch);
            w.WriteUInt64(head.Version);
            w.WriteUInt64(head.Content);
            w.WriteBoolean(head.IsSource);
            if (!isPlain)
            {
                w.WriteUInt64(head.Surface.Floating);
                w.WriteUInt64(head.Surface.LaterEpoch);
                w.WriteBoolean(head.Surface.IsHidden);
            }
        }

        return End(FrameType.Heads);
    }

    public static byte[] MemberHeads(BucketSet buckets, IReadOnlyCollection<MemberDigest> members)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(3);
        w.WriteUInt64(buckets.Bits);
        w.WriteUInt64(buckets.Quarter);
        w.WriteArrayHeader(members.Count);
        foreach (MemberDigest member in members)
        {
            w.WriteArrayHeader(5);
            w.WriteId(member.Id);
            w.WriteUInt64(member.Epoch);
            w.WriteUInt64(member.BootNonce);
            w.WriteUInt64(member.Incarnation);
            w.WriteUInt64((uint)member.Status);
        }
        return End(FrameType.MemberHeads);
    }

    public static byte[] MemberRequest(IReadOnlyCollection<NodeId> ids)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(1);
        w.WriteArrayHeader(ids.Count);
        foreach (NodeId id in ids)
        {
            w.WriteId(id);
        }
        return End(FrameType.MemberRequest);
    }

    /// <summary>Asks for what follows these versions; epoch 0 asks for a snapshot.</summary>
    public static byte[] DeltaRequest(IReadOnlyCollection<HeadDigest> wanted)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(1);
        w.WriteArrayHeader(wanted.Count);
        foreach (HeadDigest head in wanted)
        {
            w.WriteArrayHeader(3);
            w.WriteId(head.Origin);
            w.WriteUInt64(head.Epoch);
            w.WriteUInt64(head.Version);
        }
        return End(FrameType.DeltaRequest);
    }

    /// <summary>What the receiver lacks does not fit datagrams: it should open a stream to the sender.</summary>
    public static byte[] StreamHint()
    {
        Begin().WriteArrayHeader(0);
        return End(FrameType.StreamHint);
    }

    public static HeadDigest ReadHead(ref MessagePackReader reader)
    {
        int extra = reader.BeginArray(5);
        var head = new HeadDigest(
            reader.ReadId(), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadUInt64(), reader.ReadBoolean());
        if (extra >= 3)
        {
            head = head with { Surface = new Surface(reader.ReadUInt64(), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadBoolean()) };
            extra -= 3;
        }

        reader.EndArray(extra);
        return head;
    }

    public static StateDigest ReadDigest(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadUInt64(WireLimits.MaxVersion));

    /// <summary>Enough of an id to tell whether it is meant.</summary>
    public static uint Addressee(NodeId id) => (uint)Digest.OfId(id);

    public static NodeId? ReadOptionalId(ref MessagePackReader reader) => reader.TryReadNil() ? null : reader.ReadId();

    private static byte[] SequenceAndId(FrameType type, ulong sequence, NodeId id)
    {
        MessagePackWriter w = Begin();
        w.WriteArrayHeader(2);
        w.WriteUInt64(sequence);
        w.WriteId(id);
        return End(type);
    }

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

    private static MessagePackWriter Begin()
    {
        ArrayBufferWriter<byte> scratch = s_scratch ??= new ArrayBufferWriter<byte>(ScratchBytes);
        scratch.ResetWrittenCount();
        scratch.GetSpan(HeaderBytes);
        scratch.Advance(HeaderBytes);
        return new MessagePackWriter(scratch);
    }

    private static byte[] End(FrameType type)
    {
        byte[] frame = s_scratch!.WrittenSpan.ToArray();
        frame[0] = (byte)type;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(1), checked((ushort)(frame.Length - HeaderBytes)));
        return frame;
    }
}
