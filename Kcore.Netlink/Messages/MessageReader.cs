using System.Buffers.Binary;

namespace Kcore.Netlink.Messages;

/// <summary>Walks the messages of one datagram; every length is checked against what is left.</summary>
public ref struct MessageReader(ReadOnlySpan<byte> datagram)
{
    private ReadOnlySpan<byte> _rest = datagram;

    /// <summary>Takes the next message; false at the end.</summary>
    /// <exception cref="NetlinkException">A length is impossible.</exception>
    public bool TryRead(out NetlinkMessage message)
    {
        if (_rest.IsEmpty)
        {
            message = default;
            return false;
        }

        if (_rest.Length < MessageWriter.HeaderBytes)
        {
            throw NetlinkException.Malformed("a message header is cut off");
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(_rest);
        if (length < MessageWriter.HeaderBytes || length > (uint)_rest.Length)
        {
            throw NetlinkException.Malformed($"a message claims {length} bytes where {_rest.Length} are left");
        }

        message = new NetlinkMessage(
            BinaryPrimitives.ReadUInt16LittleEndian(_rest[4..]),
            BinaryPrimitives.ReadUInt16LittleEndian(_rest[6..]),
            BinaryPrimitives.ReadUInt32LittleEndian(_rest[8..]),
            _rest[MessageWriter.HeaderBytes..(int)length]);
        _rest = _rest[Math.Min(MessageWriter.Align((int)length), _rest.Length)..];
        return true;
    }
}

/// <summary>One received message: header fields and everything behind the header.</summary>
public readonly ref struct NetlinkMessage(ushort type, ushort flags, uint sequence, ReadOnlySpan<byte> payload)
{
    public ushort Type { get; } = type;

    public ushort Flags { get; } = flags;

    public uint Sequence { get; } = sequence;

    public ReadOnlySpan<byte> Payload { get; } = payload;

    /// <summary>The fixed structure at the start of the payload.</summary>
    /// <exception cref="NetlinkException">The payload is shorter.</exception>
    public ReadOnlySpan<byte> Body(int bytes) =>
        Payload.Length >= bytes
            ? Payload[..bytes]
            : throw NetlinkException.Malformed($"a message of type {Type} has {Payload.Length} bytes where {bytes} are needed");

    /// <summary>The attributes behind a fixed structure of <paramref name="bodyBytes"/> bytes.</summary>
    public AttributeReader Attributes(int bodyBytes)
    {
        Body(bodyBytes);
        return new AttributeReader(Payload[Math.Min(MessageWriter.Align(bodyBytes), Payload.Length)..]);
    }
}
