using System.Buffers.Binary;
using System.Numerics;

namespace Kcore.Raft;

/// <summary>CRC-32C (Castagnoli, RFC 3720 §12.1) over a snapshot's bytes.</summary>
internal static class SnapshotChecksum
{
    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        while (bytes.Length >= 8)
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[8..];
        }

        foreach (byte value in bytes)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return ~crc;
    }
}
