using System.Buffers.Binary;

namespace Kcore.Fuzz.Mutators;

/// <summary>
/// Gossip payloads: kind, length and a MessagePack body, several in a row. Bodies are changed by value, frames are
/// doubled, moved, dropped and taken from other payloads, kinds exchanged; the lengths mostly fit what they announce.
/// </summary>
internal sealed class FrameMutator : IMutator
{
    private const int HeaderBytes = 3;
    private const int LengthMax = 9000;

    private readonly MessagePackMutator _body = new();
    private readonly ByteMutator _bytes = new(isBigEndian: true);

    public byte[] Mutate(byte[] input, byte[] other, Chance chance)
    {
        if (chance.OneIn(10))
        {
            return _bytes.Mutate(input, other, chance);
        }

        List<(byte Kind, byte[] Body)> frames = Split(input);
        List<(byte Kind, byte[] Body)> theirs = Split(other);
        for (int changes = 1 + chance.Next(3); changes > 0 && frames.Count > 0; changes--)
        {
            int at = chance.Next(frames.Count);
            (byte kind, byte[] body) = frames[at];
            switch (chance.Next(10))
            {
                case 0:
                    frames.Insert(at, frames[at]);
                    break;
                case 1:
                    frames.RemoveAt(at);
                    break;
                case 2:
                    frames[at] = ((byte)chance.Next(40), body);
                    break;
                case 3 when theirs.Count > 0:
                    frames.Insert(at, chance.Of(theirs));
                    break;
                case 4 when chance.OneIn(8):
                    frames.InsertRange(at, Enumerable.Repeat(frames[at], 80));
                    break;
                default:
                    frames[at] = (kind, _body.Mutate(body, theirs.Count > 0 ? chance.Of(theirs).Body : body, chance));
                    break;
            }
        }

        return Join(frames, chance);
    }

    private static List<(byte Kind, byte[] Body)> Split(byte[] payload)
    {
        List<(byte, byte[])> frames = [];
        for (int at = 0; at + HeaderBytes <= payload.Length;)
        {
            int length = Math.Min(BinaryPrimitives.ReadUInt16BigEndian(payload.AsSpan(at + 1)), payload.Length - at - HeaderBytes);
            frames.Add((payload[at], payload[(at + HeaderBytes)..(at + HeaderBytes + length)]));
            at += HeaderBytes + length;
        }

        return frames;
    }

    private static byte[] Join(List<(byte Kind, byte[] Body)> frames, Chance chance)
    {
        using var joined = new MemoryStream();
        foreach ((byte kind, byte[] body) in frames)
        {
            int length = chance.OneIn(60) ? (int)ByteMutator.NextNumber(chance) : body.Length;
            joined.Write([kind, (byte)(length >> 8), (byte)length, .. body]);
            if (joined.Length > LengthMax)
            {
                break;
            }
        }

        return joined.ToArray();
    }
}
