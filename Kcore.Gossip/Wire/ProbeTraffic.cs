using System.Buffers.Binary;

namespace Kcore.Gossip.Wire;

/// <summary>
/// Tells the frames of the failure detector from the rest. They carry digests and sequence numbers but no fact and no
/// version of the sender's own origin, so they need not wait until the sender's disk has taken its latest facts.
/// </summary>
public static class ProbeTraffic
{
    /// <summary>Parts a payload the core gave out; each part is again a whole number of frames, in order, and may be empty.</summary>
    /// <param name="statements">Whether membership statements count as urgent as well.</param>
    public static void Split(ReadOnlyMemory<byte> payload, bool statements, out ReadOnlyMemory<byte> urgent, out ReadOnlyMemory<byte> rest)
    {
        int size = 0, all = 0;
        for (ReadOnlySpan<byte> left = payload.Span; left.Length >= Frames.HeaderBytes; left = payload.Span[all..])
        {
            int frame = FrameSize(left);
            size += IsUrgent((FrameType)left[0], statements) ? frame : 0;
            all += frame;
        }

        if (size == 0 || size == payload.Length)
        {
            urgent = payload[..size];
            rest = payload[size..];
            return;
        }

        byte[] first = new byte[size];
        byte[] second = new byte[payload.Length - size];
        int written = 0, kept = 0;
        for (int at = 0; at < payload.Length;)
        {
            ReadOnlySpan<byte> left = payload.Span[at..];
            int frame = left.Length < Frames.HeaderBytes ? left.Length : FrameSize(left);
            if (left.Length >= Frames.HeaderBytes && IsUrgent((FrameType)left[0], statements))
            {
                left[..frame].CopyTo(first.AsSpan(written));
                written += frame;
            }
            else
            {
                left[..frame].CopyTo(second.AsSpan(kept));
                kept += frame;
            }

            at += frame;
        }

        (urgent, rest) = (first, second);
    }

    private static bool IsUrgent(FrameType type, bool statements) => type switch
    {
        FrameType.Ping or FrameType.Ack or FrameType.PingRequest or FrameType.Vouch or FrameType.Nack => true,
        FrameType.Member => statements,
        _ => false,
    };

    private static int FrameSize(ReadOnlySpan<byte> left) =>
        Math.Min(left.Length, Frames.HeaderBytes + BinaryPrimitives.ReadUInt16BigEndian(left[1..]));
}
