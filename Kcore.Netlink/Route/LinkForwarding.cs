using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Immutable;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

/// <summary>
/// The forwarding entries of one link at one look. A look that finds the very same bytes gives the very same object, so that whoever
/// compares tens of thousands of entries can leave out those of links where nothing changed.
/// </summary>
public sealed class LinkForwarding
{
    /// <summary>NDA_CACHEINFO (times of last use) and NDA_PROBES: they change by themselves, and nobody here looks at them.</summary>
    private const ushort CacheInfo = 3;
    private const ushort Probes = 4;

    private const int LengthBytes = sizeof(int);

    private readonly byte[] _messages;

    private LinkForwarding(byte[] messages) => _messages = messages;

    /// <summary>Of a link without entries.</summary>
    public static LinkForwarding None { get; } = new([]);

    /// <summary>The entries in the kernel's order; made anew at each call, for holding them all takes more than what they came in.</summary>
    public ImmutableArray<NeighbourInfo> Entries()
    {
        ImmutableArray<NeighbourInfo>.Builder entries = ImmutableArray.CreateBuilder<NeighbourInfo>();
        for (ReadOnlySpan<byte> rest = _messages; !rest.IsEmpty;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(rest);
            if (NeighbourDecoder.Decode(new NetlinkMessage(Nlm.NewNeighbour, 0, 0, rest.Slice(LengthBytes, length))) is { } entry)
            {
                entries.Add(entry);
            }

            rest = rest[(LengthBytes + length)..];
        }

        return entries.DrainToImmutable();
    }

    /// <summary>The link an entry belongs to, and the entry as it is kept.</summary>
    /// <exception cref="NetlinkException">The message is malformed.</exception>
    internal static void Gather(scoped in NetlinkMessage message, Dictionary<int, ArrayBufferWriter<byte>> gathered)
    {
        int link = BinaryPrimitives.ReadInt32LittleEndian(message.Body(Nda.BodyBytes)[4..]);
        if (!gathered.TryGetValue(link, out ArrayBufferWriter<byte>? kept))
        {
            gathered[link] = kept = new ArrayBufferWriter<byte>();
        }

        ReadOnlySpan<byte> payload = message.Payload;
        Span<byte> space = kept.GetSpan(LengthBytes + payload.Length);
        payload[..Nda.BodyBytes].CopyTo(space[LengthBytes..]);
        int length = Nda.BodyBytes;
        AttributeReader attributes = message.Attributes(Nda.BodyBytes);
        int at = Nda.BodyBytes;
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            int bytes = Math.Min(MessageWriter.Align(AttributeReader.HeaderBytes + attribute.Value.Length), payload.Length - at);
            if (attribute.Type is not (CacheInfo or Probes))
            {
                payload.Slice(at, bytes).CopyTo(space[(LengthBytes + length)..]);
                length += bytes;
            }

            at += bytes;
        }

        BinaryPrimitives.WriteInt32LittleEndian(space, length);
        kept.Advance(LengthBytes + length);
    }

    /// <summary>The same object as last time when nothing changed.</summary>
    internal static LinkForwarding Of(ReadOnlySpan<byte> gathered, LinkForwarding? last) =>
        last is not null && gathered.SequenceEqual(last._messages) ? last : new LinkForwarding(gathered.ToArray());
}
