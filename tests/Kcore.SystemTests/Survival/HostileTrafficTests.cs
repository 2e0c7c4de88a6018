using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Survival;

/// <summary>Whoever has no key can make noise and nothing else.</summary>
[Collection(AloneOnThreeNodes.Name)]
public sealed class HostileTrafficTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private const int GossipPort = 7946;
    private const int RaftPort = 7947;
    private const int Datagrams = 1_000_000;
    private const int Connections = 10_000;
    private const long MostGrowthBytes = 60L * 1024 * 1024;

    [SkippableFact]
    public async Task A_million_garbage_datagrams_disturb_nothing()
    {
        await ReadyAsync();
        Disturbance watch = await Disturbance.WatchAsync(Lan, B);
        byte[][] genuine = await CaptureGossipAsync();
        Output.WriteLine($"{genuine.Length} genuine datagrams to start from");
        using Socket socket = Netns.Run(Lan.Switch, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        Task flood = Task.Factory.StartNew(() => Flood(socket, genuine), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await watch.AnswersQuicklyAsync();
        await flood;
        await watch.CalmAsync(Output);
    }

    [SkippableFact]
    public async Task Ten_thousand_silent_connections_disturb_nothing()
    {
        await ReadyAsync();
        Disturbance watch = await Disturbance.WatchAsync(Lan, B);
        string attacker = await Lan.AddHostAsync("attacker", 66);
        Netns.Sysctl(attacker, "net/ipv4/ip_local_port_range", "1024 65535");
        List<Socket> sockets = [];
        try
        {
            // Not awaited one by one: a daemon that has had enough neither accepts nor refuses, and that is its right.
            Netns.Run(attacker, () =>
            {
                for (int i = 0; i < Connections; i++)
                {
                    Socket s = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                    sockets.Add(s);
                    try
                    {
                        s.Connect(new IPEndPoint(IPAddress.Parse(B.Address), i % 2 == 0 ? GossipPort : RaftPort));
                    }
                    catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
                    {
                        // On its way.
                    }
                }

                return true;
            });
            await Task.Delay(TimeSpan.FromSeconds(3));
            await watch.AnswersQuicklyAsync();
            int descriptors = Directory.GetFiles($"/proc/{B.Pid}/fd").Length;
            Output.WriteLine($"{descriptors} open descriptors under {Connections} connections");
            Assert.True(descriptors < Connections / 2, $"Expected a bound on open connections; the daemon has {descriptors} descriptors open");
            await watch.CalmAsync(Output);
        }
        finally
        {
            sockets.ForEach(s => s.Dispose());
        }
    }

    // A third random bytes, a third genuine datagrams from a wrong place, a third genuine ones with a few bytes changed.
    private void Flood(Socket socket, byte[][] genuine)
    {
        SocketAddress target = new IPEndPoint(IPAddress.Parse(B.Address), GossipPort).Serialize();
        Random random = new(4711);
        byte[] noise = RandomNumberGenerator.GetBytes(1400);
        for (int i = 0; i < Datagrams; i++)
        {
            ReadOnlySpan<byte> datagram;
            if (i % 3 == 0 || genuine.Length == 0)
            {
                datagram = noise.AsSpan(random.Next(700), random.Next(700));
            }
            else
            {
                byte[] one = genuine[random.Next(genuine.Length)];
                if (i % 3 == 1)
                {
                    one = (byte[])one.Clone();
                    one[random.Next(one.Length)] ^= (byte)random.Next(1, 256);
                    one[random.Next(one.Length)] ^= (byte)random.Next(1, 256);
                }

                datagram = one;
            }

            try
            {
                socket.SendTo(datagram, SocketFlags.None, target);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.NoBufferSpaceAvailable or SocketError.WouldBlock)
            {
                // The sender's own queue is full; the next one will do.
            }
        }
    }

    private async Task<byte[][]> CaptureGossipAsync()
    {
        using PacketSocket tap = PacketSocket.Open(B.Namespace, "eth0", 0x0800);
        // IPv4 without options: protocol at 23, UDP destination port at 36, payload from 42 (RFC 791, RFC 768).
        IReadOnlyList<byte[]> frames = await tap.CollectAsync(
            TimeSpan.FromSeconds(5),
            f => f.Length > 42 && f[14] == 0x45 && f[23] == 17 && ((f[36] << 8) | f[37]) == GossipPort && !f.AsSpan(6, 6).SequenceEqual(tap.Mac),
            most: 50);
        return [.. frames.Select(f => f[42..])];
    }

    /// <summary>What a node and its cluster looked like before, to compare with.</summary>
    private sealed class Disturbance(NodeLan lan, LanNode target, long rssBefore, Dictionary<LanNode, long> eventsBefore, string digest)
    {
        public static async Task<Disturbance> WatchAsync(NodeLan lan, LanNode target)
        {
            string digest = await NodeLan.SettledAsync(lan.Nodes);
            Dictionary<LanNode, long> events = [];
            foreach (LanNode node in lan.Nodes)
            {
                events[node] = await node.LastEventAsync();
            }

            return new Disturbance(lan, target, await target.ResidentBytesAsync(), events, digest);
        }

        public async Task AnswersQuicklyAsync()
        {
            KctlResult status = await target.KctlAsync("status", "-o", "json");
            Assert.True(status.ExitCode is 0 or 9, status.ToString());
            Assert.True(status.Command.Elapsed < TimeSpan.FromSeconds(1), $"Expected an answer within a second: {status}");
        }

        public async Task CalmAsync(ITestOutputHelper output)
        {
            await Task.Delay(TimeSpan.FromSeconds(3));
            TimeSpan window = TimeSpan.FromSeconds(2);
            TimeSpan usedBefore = await target.ProcessorTimeAsync();
            await Task.Delay(window);
            TimeSpan used = await target.ProcessorTimeAsync() - usedBefore;
            long growth = await target.ResidentBytesAsync() - rssBefore;
            output.WriteLine($"memory grew by {growth / 1024} KiB to {(rssBefore + growth) / 1024} KiB; {used.TotalMilliseconds:0} ms CPU in {window.TotalSeconds} s afterwards");
            Assert.True(growth < MostGrowthBytes, $"Resident memory grew by {growth / 1024} KiB, more than {MostGrowthBytes / 1024} KiB");
            Assert.True(used < window / 2, $"Still using {used.TotalMilliseconds:0} ms CPU in {window.TotalSeconds} s");
            await AnswersQuicklyAsync();
            await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(5));
            Assert.Equal(digest, (await target.StatusAsync()).Digest);
            foreach ((LanNode node, long last) in eventsBefore)
            {
                EventInfo[] deaths = [.. (await node.EventsAsync(last)).Where(e => e.Type == "MemberDead")];
                Assert.True(deaths.Length == 0, $"{node.Name} reports: {string.Join("; ", deaths.Select(d => d.Message))}");
            }
        }
    }
}
