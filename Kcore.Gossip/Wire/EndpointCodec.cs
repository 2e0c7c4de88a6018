using System.Buffers.Binary;
using System.Net;

namespace Kcore.Gossip.Wire;

/// <summary>Addresses as a byte string: 4 or 16 bytes of address, 2 bytes of port, network order.</summary>
internal static class EndpointCodec
{
    public static void Write(MessagePackWriter writer, IPEndPoint endpoint)
    {
        Span<byte> bytes = stackalloc byte[18];
        endpoint.Address.TryWriteBytes(bytes, out int length);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[length..], (ushort)endpoint.Port);
        writer.WriteBinary(bytes[..(length + 2)]);
    }

    public static IPEndPoint Read(ref MessagePackReader reader)
    {
        ReadOnlySpan<byte> bytes = reader.ReadBinary(18);
        if (bytes.Length is not (6 or 18))
        {
            throw new WireFormatException($"an address of {bytes.Length} bytes");
        }

        return new IPEndPoint(new IPAddress(bytes[..^2]), BinaryPrimitives.ReadUInt16BigEndian(bytes[^2..]));
    }
}
