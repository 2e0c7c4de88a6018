namespace Kcore.Gossip.Wire;

/// <summary>
/// Fills payloads with whole frames up to one byte budget. All frames of a datagram go through one packer: two queues
/// that each use the full size is how datagrams become too long.
/// </summary>
internal static class Packets
{
    public static List<byte[]> Pack(IReadOnlyList<byte[]> frames, int budget)
    {
        List<byte[]> packets = [];
        int start = 0, size = 0;
        for (int i = 0; i < frames.Count; i++)
        {
            if (size > 0 && (size + frames[i].Length > budget || i - start == WireLimits.FramesPerDatagram))
            {
                packets.Add(Join(frames, start, i, size));
                (start, size) = (i, 0);
            }

            size += frames[i].Length;
        }

        if (size > 0)
        {
            packets.Add(Join(frames, start, frames.Count, size));
        }

        return packets;
    }

    public static byte[] Join(IReadOnlyList<byte[]> frames, int start, int end, int size)
    {
        byte[] packet = new byte[size];
        int position = 0;
        for (int i = start; i < end; i++)
        {
            frames[i].CopyTo(packet, position);
            position += frames[i].Length;
        }

        return packet;
    }
}
