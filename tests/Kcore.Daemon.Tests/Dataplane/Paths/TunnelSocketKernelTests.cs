using System.Net.Sockets;
using Kcore.Daemon.Dataplane.Paths;
using Kcore.Gossip.Wire.Sealing;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Packet;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Paths;

/// <summary>Probes fare as packets of overlays do: in a real kernel, which holds UDP 4789 itself.</summary>
public sealed class TunnelSocketKernelTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(300);

    [SkippableFact]
    public async Task B119_A_probe_passes_where_overlays_pass_and_no_packet_of_an_overlay_is_taken_for_one()
    {
        await using KernelLab lab = new();
        using Pair pair = new(lab);

        Assert.Equal(1500, await pair.AskAsync(1500));
        Assert.Equal(PathPacket.BytesMin, await pair.AskAsync(PathPacket.BytesMin));

        // A frame of an overlay to the same port: the kernel's, not ours.
        KernelLab.TryRun("ip", $"netns exec {pair.Left} ping -c 1 -W 1 10.88.0.2");
        Assert.Null(await pair.HearAsync());
        KernelLab.In(pair.Right, "nft add table inet mine");
        KernelLab.In(pair.Right, "nft add chain inet mine input { type filter hook input priority 0 ; }");
        KernelLab.In(pair.Right, "nft add rule inet mine input udp dport 4789 drop");

        Assert.Null(await pair.AskAsync(PathPacket.BytesMin));
    }

    [SkippableFact]
    public async Task B016_A_probe_is_lost_where_it_is_larger_than_the_path_and_never_cut_up()
    {
        await using KernelLab lab = new();
        using Pair pair = new(lab);
        KernelLab.Ip(lab.Underlay, "link set p2 mtu 1400");

        Assert.Equal(1400, await pair.AskAsync(1400));
        Assert.Null(await pair.AskAsync(1401));
        Assert.Equal(SocketError.MessageSize, (await Assert.ThrowsAsync<SocketException>(() => pair.AskAsync(1501))).SocketErrorCode);
    }

    /// <summary>Two hosts with one overlay made by hand; the left one asks.</summary>
    private sealed class Pair : IDisposable
    {
        private static readonly ClusterScope Cluster = new(42, 1);

        private readonly KeyRing _ring = new(new ClusterSecret(new byte[ClusterSecret.Size]));
        private readonly byte[] _received = new byte[PathPacket.BytesMax];
        private readonly TunnelSocket _left;
        private readonly TunnelSocket _right;
        private ulong _nonce;

        public Pair(KernelLab lab)
        {
            Left = lab.AddNode(1).Namespace;
            Right = lab.AddNode(2).Namespace;
            foreach ((string ns, int own, int other) in (ReadOnlySpan<(string, int, int)>)[(Left, 1, 2), (Right, 2, 1)])
            {
                KernelLab.Ip(ns, $"link add vx0 type vxlan id 14458 dstport 4789 local {Intents.Vtep(own)} remote {Intents.Vtep(other)}");
                KernelLab.Ip(ns, $"addr add 10.88.0.{own}/24 dev vx0");
                KernelLab.Ip(ns, "link set vx0 up");
            }

            _left = Open(Left, 1);
            _right = Open(Right, 2);
        }

        public string Left { get; }

        public string Right { get; }

        /// <summary>Size of the packet that arrived; null when none did.</summary>
        public Task<int?> AskAsync(int bytes)
        {
            var question = new PathQuestion(B, Intents.Vtep(2), ++_nonce, bytes);
            _left.Send(question.Address, new PathTalk(A, _ring).Question(question, Intents.Vtep(1), Cluster));
            return HearAsync();
        }

        public async Task<int?> HearAsync()
        {
            using var patience = new CancellationTokenSource(Patience);
            try
            {
                int length = await _right.ReceiveAsync(_received, patience.Token);
                PathMessage? message = new PathTalk(B, _ring).Read(_received.AsSpan(0, length), Cluster, out _);
                Assert.Equal((ulong?)_nonce, (ulong?)message?.Nonce);
                return message?.Bytes;
            }
            catch (OperationCanceledException)
            {
                return null;
            }
        }

        public void Dispose()
        {
            _left.Dispose();
            _right.Dispose();
            _ring.Dispose();
        }

        private static TunnelSocket Open(string name, int node)
        {
            using NetworkNamespace ns = NetworkNamespace.Named(name);
            return ns.Run(() => TunnelSocket.Open(Intents.Vtep(node), PathPacket.Port, PathPacket.Vni));
        }
    }
}
