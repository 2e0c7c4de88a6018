using System.Buffers;
using Kcore.Gossip.Wire;

namespace Kcore.Fuzz.Mutators;

/// <summary>
/// Changes values where they stand: numbers in forms long and short, lengths that lie, elements that are missing, doubled,
/// exchanged, nested or taken from another message. What it makes mostly still parses, so it reaches what lies deeper.
/// </summary>
internal sealed class MessagePackMutator : IMutator
{
    private readonly ByteMutator _bytes = new(isBigEndian: true);

    public byte[] Mutate(byte[] input, byte[] other, Chance chance)
    {
        byte[] bytes = input;
        for (int changes = 1 + chance.Next(3); changes > 0; changes--)
        {
            bytes = chance.OneIn(8) ? _bytes.Mutate(bytes, other, chance) : Change(bytes, other, chance);
        }

        return bytes;
    }

    private static byte[] Change(byte[] bytes, byte[] other, Chance chance)
    {
        List<Range> values = Values(bytes);
        if (values.Count == 0)
        {
            return [.. other];
        }

        Range at = chance.Of(values);
        byte[] value = bytes[at];
        byte[] changed = chance.Next(11) switch
        {
            0 or 1 => Number(chance),
            2 => Blob(chance),
            3 => Lie(value, chance),
            4 => [],
            5 => [.. value, .. value],
            6 => bytes[chance.Of(values)],
            7 => Nest(value, chance),
            8 when Values(other) is { Count: > 0 } theirs => other[chance.Of(theirs)],
            9 => [0xc0],
            _ => Text(chance),
        };
        return [.. bytes[..at.Start], .. changed, .. bytes[at.End..]];
    }

    /// <summary>Every value of the message, outer ones and inner ones, as far as it can be followed.</summary>
    private static List<Range> Values(byte[] bytes)
    {
        List<Range> values = [];
        Walk(bytes, 0, bytes.Length, values, 12);
        return values;
    }

    private static void Walk(byte[] bytes, int start, int end, List<Range> values, int depth)
    {
        while (start < end && values.Count < 512)
        {
            var reader = new MessagePackReader(bytes.AsSpan(start, end - start));
            try
            {
                reader.Skip();
            }
            catch (WireFormatException)
            {
                return;
            }

            int after = start + reader.Position;
            values.Add(start..after);
            int header = bytes[start] switch
            {
                >= 0x80 and <= 0x9f => 1,
                0xdc or 0xde => 3,
                0xdd or 0xdf => 5,
                _ => 0,
            };
            if (header > 0 && depth > 0)
            {
                Walk(bytes, start + header, after, values, depth - 1);
            }

            start = after;
        }
    }

    private static byte[] Number(Chance chance)
    {
        ulong number = ByteMutator.NextNumber(chance);
        return chance.Next(3) switch
        {
            0 => Written(writer => writer.WriteUInt64(number)),
            1 => Written(writer => writer.WriteInt64(unchecked((long)number))),
            _ =>
            [
                0xcf, (byte)(number >> 56), (byte)(number >> 48), (byte)(number >> 40), (byte)(number >> 32), (byte)(number >> 24),
                (byte)(number >> 16), (byte)(number >> 8), (byte)number,
            ],
        };
    }

    private static byte[] Blob(Chance chance)
    {
        byte[] blob = new byte[chance.OneIn(3) ? chance.Next(300) : chance.Of([0, 1, 4, 6, 15, 16, 17, 18, 32])];
        chance.Fill(blob);
        return Written(writer => writer.WriteBinary(blob));
    }

    private static byte[] Text(Chance chance)
    {
        string text = chance.Next(4) switch
        {
            0 => "",
            1 => new string('a', 1 + chance.Next(600)),
            2 => "\ud83d\ude00\u0000\u202e" + (char)chance.Next(0x20, 0x3000),
            _ => chance.Of(["192.0.2.1:7946", "[::1]:0", "0x7f.1", "node-b", "/../..", "\n", "255.255.255.255:65535"]),
        };
        return Written(writer => writer.WriteString(text));
    }

    /// <summary>The same value with another length or count in its header.</summary>
    private static byte[] Lie(byte[] value, Chance chance)
    {
        byte[] liar = [.. value];
        switch (value[0])
        {
            case >= 0x80 and <= 0xbf:
                liar[0] = (byte)(value[0] + chance.Next(-3, 4));
                break;
            case 0xc4 or 0xd9 when value.Length > 1:
                liar[1] = chance.NextByte();
                break;
            case 0xc5 or 0xda or 0xdc or 0xde when value.Length > 2:
                chance.Fill(liar.AsSpan(1, 2));
                break;
            case 0xc6 or 0xdb or 0xdd or 0xdf when value.Length > 4:
                chance.Fill(liar.AsSpan(1, 4));
                break;
            default:
                return [chance.Of<byte>([0xc6, 0xdb, 0xdd, 0xdf, 0xc9]), .. BitConverter.GetBytes((uint)ByteMutator.NextNumber(chance)), .. value];
        }

        return liar;
    }

    private static byte[] Nest(byte[] value, Chance chance)
    {
        byte[] opening = new byte[chance.OneIn(4) ? 1 + chance.Next(2000) : 1 + chance.Next(4)];
        opening.AsSpan().Fill(0x91);
        return [.. opening, .. value];
    }

    private delegate void Writing(MessagePackWriter writer);

    private static byte[] Written(Writing write)
    {
        var output = new ArrayBufferWriter<byte>(32);
        write(new MessagePackWriter(output));
        return output.WrittenSpan.ToArray();
    }
}
