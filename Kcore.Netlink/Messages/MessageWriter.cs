using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using System.Text;

namespace Kcore.Netlink.Messages;

/// <summary>
/// Writes one netlink message (linux/netlink.h): header, fixed body, attributes. Everything is padded to 4 bytes;
/// nested attributes are opened with a token whose length is patched when they are closed.
/// </summary>
/// <remarks>Integers are in host order, which netlink uses, unless the method says big endian.</remarks>
public ref struct MessageWriter
{
    internal const int HeaderBytes = 16;
    private const int AttributeHeaderBytes = 4;
    private const ushort NestedFlag = 0x8000;

    private readonly Span<byte> _buffer;
    private int _length;
    private int _openNests;

    /// <param name="buffer">Room for the message; it bounds what can be written.</param>
    /// <param name="type">Message type, such as RTM_NEWLINK.</param>
    /// <param name="flags">NLM_F_* flags.</param>
    public MessageWriter(Span<byte> buffer, ushort type, ushort flags)
    {
        _buffer = buffer;
        Span<byte> header = Take(HeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], type);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], flags);
    }

    /// <summary>Bytes written so far, padding included.</summary>
    public readonly int Length => _length;

    /// <summary>Reserves zeroed, padded room, for fixed bodies such as <c>ifinfomsg</c>.</summary>
    /// <exception cref="InvalidOperationException">The message does not fit its buffer.</exception>
    public Span<byte> Take(int bytes)
    {
        int padded = Align(bytes);
        if (bytes < 0 || padded > _buffer.Length - _length)
        {
            throw new InvalidOperationException($"A netlink message does not fit {_buffer.Length} bytes.");
        }

        Span<byte> taken = _buffer.Slice(_length, padded);
        taken.Clear();
        _length += padded;
        return taken[..bytes];
    }

    public void Put(ushort type, scoped ReadOnlySpan<byte> value) => value.CopyTo(Attribute(type, value.Length));

    public void PutByte(ushort type, byte value) => Attribute(type, 1)[0] = value;

    public void PutUInt16(ushort type, ushort value) =>
        BinaryPrimitives.WriteUInt16LittleEndian(Attribute(type, 2), value);

    public void PutUInt16BigEndian(ushort type, ushort value) =>
        BinaryPrimitives.WriteUInt16BigEndian(Attribute(type, 2), value);

    public void PutUInt32(ushort type, uint value) =>
        BinaryPrimitives.WriteUInt32LittleEndian(Attribute(type, 4), value);

    public void PutInt32(ushort type, int value) =>
        BinaryPrimitives.WriteInt32LittleEndian(Attribute(type, 4), value);

    /// <summary>A string attribute with its terminating zero.</summary>
    public void PutString(ushort type, string value)
    {
        int bytes = Encoding.UTF8.GetByteCount(value);
        Encoding.UTF8.GetBytes(value, Attribute(type, bytes + 1));
    }

    /// <summary>4 or 16 bytes in network order.</summary>
    public void PutAddress(ushort type, IPAddress value)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (!value.TryWriteBytes(bytes, out int written))
        {
            throw new InvalidOperationException("An IP address longer than 16 bytes does not exist.");
        }

        Put(type, bytes[..written]);
    }

    public void PutMac(ushort type, PhysicalAddress value) => Put(type, value.GetAddressBytes());

    /// <summary>Opens a nested attribute; close it with <see cref="EndNested"/> in reverse order.</summary>
    /// <param name="type">Attribute type.</param>
    /// <param name="marked">
    /// Sets NLA_F_NESTED. False only where the payload starts with a fixed structure (VETH_INFO_PEER).
    /// </param>
    public NestToken BeginNested(ushort type, bool marked = true)
    {
        int start = _length;
        Span<byte> header = Take(AttributeHeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(header[2..], marked ? (ushort)(type | NestedFlag) : type);
        return new NestToken(start, ++_openNests);
    }

    /// <exception cref="InvalidOperationException">Another nested attribute is still open inside, or the nest exceeds 65,535 bytes.</exception>
    public void EndNested(NestToken token)
    {
        if (token.Depth != _openNests || token.Depth == 0)
        {
            throw new InvalidOperationException("Nested attributes are closed in reverse order.");
        }

        int length = _length - token.Start;
        if (length > ushort.MaxValue)
        {
            throw new InvalidOperationException("A nested attribute is longer than its length field can say.");
        }

        _openNests--;
        BinaryPrimitives.WriteUInt16LittleEndian(_buffer[token.Start..], (ushort)length);
    }

    /// <summary>Patches the header's length and returns the message.</summary>
    /// <exception cref="InvalidOperationException">A nested attribute is still open.</exception>
    public readonly ReadOnlySpan<byte> Finish()
    {
        if (_openNests != 0)
        {
            throw new InvalidOperationException("A nested attribute is still open.");
        }

        BinaryPrimitives.WriteInt32LittleEndian(_buffer, _length);
        return _buffer[.._length];
    }

    private Span<byte> Attribute(ushort type, int valueBytes)
    {
        int length = AttributeHeaderBytes + valueBytes;
        if (length > ushort.MaxValue)
        {
            throw new InvalidOperationException("A netlink attribute is longer than its length field can say.");
        }

        Span<byte> attribute = Take(length);
        BinaryPrimitives.WriteUInt16LittleEndian(attribute, (ushort)length);
        BinaryPrimitives.WriteUInt16LittleEndian(attribute[2..], type);
        return attribute[AttributeHeaderBytes..];
    }

    internal static int Align(int bytes) => (bytes + 3) & ~3;
}

/// <summary>An open nested attribute of a <see cref="MessageWriter"/>.</summary>
public readonly record struct NestToken(int Start, int Depth);
