using System.Buffers.Binary;

namespace Kcore.Fuzz.Mutators;

/// <summary>
/// Knows nothing of the format but its byte order: flips bits, lies in numbers of 8 to 64 bits wherever they might be,
/// cuts, repeats, inserts, removes and splices.
/// </summary>
internal sealed class ByteMutator(bool isBigEndian, int lengthMax = 16 * 1024) : IMutator
{
    private static readonly ulong[] Interesting =
    [
        0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 62, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024,
        4095, 4096, 4097, 32767, 32768, 65535, 65536, 65537, 1 << 20, (1 << 24) - 1, int.MaxValue - 1, int.MaxValue, 1UL << 31,
        uint.MaxValue - 1, uint.MaxValue, 1UL << 32, (1UL << 62) - 1, 1UL << 62, (1UL << 62) + 1, long.MaxValue, 1UL << 63, ulong.MaxValue - 1,
        ulong.MaxValue,
    ];

    public byte[] Mutate(byte[] input, byte[] other, Chance chance)
    {
        byte[] bytes = [.. input];
        for (int changes = 1 + chance.Next(1 << chance.Next(1, 4)); changes > 0; changes--)
        {
            bytes = Change(bytes, other, chance);
        }

        return bytes.Length <= lengthMax ? bytes : bytes[..lengthMax];
    }

    public static ulong NextNumber(Chance chance) =>
        chance.OneIn(4) ? chance.NextUInt64() >> chance.Next(64) : chance.Of(Interesting);

    private byte[] Change(byte[] bytes, byte[] other, Chance chance)
    {
        if (bytes.Length == 0)
        {
            return chance.OneIn(2) ? [chance.NextByte()] : [.. other];
        }

        int at = chance.Next(bytes.Length);
        switch (chance.Next(12))
        {
            case 0 or 1:
                bytes[at] ^= (byte)(1 << chance.Next(8));
                return bytes;
            case 2:
                bytes[at] = chance.NextByte();
                return bytes;
            case 3 or 4 or 5:
                WriteNumber(bytes, at, NextNumber(chance), chance);
                return bytes;
            case 6:
                return bytes[..at];
            case 7:
                return [.. bytes[..at], .. bytes[chance.Next(at, bytes.Length)..]];
            case 8:
                byte[] piece = bytes[at..Math.Min(bytes.Length, at + 1 + chance.Next(64))];
                return [.. bytes[..at], .. Enumerable.Repeat(piece, 1 + chance.Next(8)).SelectMany(part => part), .. bytes[at..]];
            case 9:
                byte[] noise = new byte[1 + chance.Next(16)];
                chance.Fill(noise);
                return [.. bytes[..at], .. noise, .. bytes[at..]];
            case 10 when other.Length > 0:
                return [.. bytes[..at], .. other[chance.Next(other.Length)..]];
            case 11 when other.Length > 0:
                int from = chance.Next(other.Length);
                byte[] taken = other[from..Math.Min(other.Length, from + 1 + chance.Next(32))];
                taken.AsSpan(0, Math.Min(taken.Length, bytes.Length - at)).CopyTo(bytes.AsSpan(at));
                return bytes;
            default:
                bytes[at] = bytes[chance.Next(bytes.Length)];
                return bytes;
        }
    }

    private void WriteNumber(byte[] bytes, int at, ulong number, Chance chance)
    {
        int width = 1 << chance.Next(4);
        if (chance.OneIn(2))
        {
            // Fields of most formats lie at multiples of their width.
            at &= -width;
        }

        if (at + width > bytes.Length)
        {
            return;
        }

        Span<byte> whole = stackalloc byte[8];
        if (isBigEndian)
        {
            BinaryPrimitives.WriteUInt64BigEndian(whole, number);
            whole[^width..].CopyTo(bytes.AsSpan(at));
        }
        else
        {
            BinaryPrimitives.WriteUInt64LittleEndian(whole, number);
            whole[..width].CopyTo(bytes.AsSpan(at));
        }
    }
}
