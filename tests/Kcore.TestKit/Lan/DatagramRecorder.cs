using System.Buffers.Binary;
using System.Globalization;

namespace Kcore.TestKit.Lan;

/// <summary>Writes down every gossip datagram that crosses the switch, as whole frames, in the order they came.</summary>
public sealed class DatagramRecorder : IAsyncDisposable
{
    private const int GossipPort = 7946;
    private readonly FileStream _file;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<PacketSocket> _taps = [];
    private readonly Lock _door = new();
    private Task _reading = Task.CompletedTask;

    private DatagramRecorder(FileStream file) => _file = file;

    public long Frames { get; private set; }

    public static DatagramRecorder Start(NodeLan lan, string path)
    {
        var recorder = new DatagramRecorder(new FileStream(path, FileMode.Create, FileAccess.Write));
        List<Task> reading = [];
        foreach (LanNode node in lan.Nodes)
        {
            // Every protocol: a frame that the bridge takes is shown to those who ask for one protocol no more.
            PacketSocket tap = PacketSocket.Open(lan.Switch, "p" + node.Address.Split('.')[^1], 0x0003);
            recorder._taps.Add(tap);
            byte last = byte.Parse(node.Address.Split('.')[^1], CultureInfo.InvariantCulture);
            reading.Add(recorder.ReadAsync(tap, last));
        }

        recorder._reading = Task.WhenAll(reading);
        return recorder;
    }

    /// <summary>The frames of a recording, in order.</summary>
    public static IEnumerable<byte[]> Read(string path)
    {
        using FileStream file = File.OpenRead(path);
        byte[] length = new byte[2];
        while (file.ReadAtLeast(length, 2, throwOnEndOfStream: false) == 2)
        {
            byte[] frame = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
            file.ReadExactly(frame);
            yield return frame;
        }
    }

    /// <summary>
    /// Sends the recorded frames once more, from another host of the LAN: addresses of the senders, but its own MAC, so that
    /// the switch goes on sending the living their frames.
    /// </summary>
    /// <returns>How many were sent.</returns>
    public static async Task<long> ReplayAsync(string path, PacketSocket from, int framesPerSecond)
    {
        long sent = 0;
        int batch = Math.Max(1, framesPerSecond / 100);
        foreach (byte[] frame in Read(path))
        {
            from.Mac.CopyTo(frame, 6);

            // On virtual links the sender leaves the check sum to hardware there is not; none at all is valid (RFC 768).
            (frame[40], frame[41]) = (0, 0);
            from.Send(frame);
            if (++sent % batch == 0)
            {
                await Task.Delay(10);
            }
        }

        return sent;
    }

    /// <summary>Ends the recording; the file is complete then.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        _taps.ForEach(t => t.Dispose());
        await _file.DisposeAsync();
        _stop.Dispose();
    }

    private async Task ReadAsync(PacketSocket tap, byte sender)
    {
        byte[] buffer = new byte[65536];
        byte[] length = new byte[2];
        try
        {
            while (true)
            {
                int size = await tap.ReceiveAsync(buffer, _stop.Token);

                // IPv4 without options (RFC 791): source's last byte at 29, protocol at 23; UDP destination port at 36. What
                // goes out by this port was written down where it came in.
                if (size > 42 && buffer[12] == 8 && buffer[13] == 0 && buffer[14] == 0x45 && buffer[23] == 17 && buffer[29] == sender
                    && BinaryPrimitives.ReadUInt16BigEndian(buffer.AsSpan(36)) == GossipPort)
                {
                    lock (_door)
                    {
                        BinaryPrimitives.WriteUInt16BigEndian(length, (ushort)size);
                        _file.Write(length);
                        _file.Write(buffer.AsSpan(0, size));
                        Frames++;
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Enough.
        }
    }
}
