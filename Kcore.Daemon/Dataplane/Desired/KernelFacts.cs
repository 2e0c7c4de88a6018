using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>Numbers and names that follow from others and are the same on every node or stay the same on one.</summary>
internal static class KernelFacts
{
    /// <summary>IANA's VXLAN port (RFC 7348 §5); the kernel's own default is an older one.</summary>
    public const int VxlanPort = 4789;

    /// <summary>Smallest MTU IPv4 can do with (RFC 791); a bridge refuses less than 68.</summary>
    private const int MtuMin = 68;

    /// <summary>
    /// Gateway of an overlay, equal on all nodes: a guest's cached gateway stays valid when it moves.
    /// </summary>
    public static PhysicalAddress GatewayMac(uint vni) =>
        new([0x02, 0x6b, 0x00, (byte)(vni >> 16), (byte)(vni >> 8), (byte)vni]);

    /// <summary>
    /// MAC of a tunnel device: locally administered, unicast, and of this node and network alone. It is given at
    /// creation, so that udev and systemd-networkd leave it as it is.
    /// </summary>
    public static PhysicalAddress TunnelMac(UInt128 nodeUid, uint vni)
    {
        Span<byte> input = stackalloc byte[20];
        BinaryPrimitives.WriteUInt128BigEndian(input, nodeUid);
        BinaryPrimitives.WriteUInt32BigEndian(input[16..], vni);
        return Own(input);
    }

    /// <summary>MAC of the bridge of a network of one node: of this node and network alone, and the same after every restart.</summary>
    public static PhysicalAddress BridgeMac(UInt128 nodeUid, UInt128 network)
    {
        Span<byte> input = stackalloc byte[32];
        BinaryPrimitives.WriteUInt128BigEndian(input, nodeUid);
        BinaryPrimitives.WriteUInt128BigEndian(input[16..], network);
        return Own(input);
    }

    /// <summary>
    /// What fits into the tunnel: outer IP (20 or 40), UDP (8), VXLAN (8) and the inner Ethernet header (14) go off.
    /// </summary>
    public static int OverlayMtu(int underlayMtu, IPAddress vtep) =>
        Math.Max(MtuMin, underlayMtu - (vtep.AddressFamily == AddressFamily.InterNetworkV6 ? 70 : 50));

    /// <summary>What fits into a packet of WireGuard: outer IP (20 or 40), UDP (8), and its own 32 go off (A25).</summary>
    public static int MeshMtu(int underlayMtu, IPAddress vtep) =>
        Math.Max(MtuMin, underlayMtu - (vtep.AddressFamily == AddressFamily.InterNetworkV6 ? 80 : 60));

    /// <summary>As <see cref="OverlayMtu"/>, inside the mesh, whose addresses are IPv4.</summary>
    public static int EncryptedMtu(int underlayMtu, IPAddress vtep) => OverlayMtu(MeshMtu(underlayMtu, vtep), IPAddress.Any);

    /// <summary>Locally administered, unicast.</summary>
    private static PhysicalAddress Own(ReadOnlySpan<byte> input)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(input, hash);
        hash[0] = (byte)((hash[0] & 0xfc) | 0x02);
        return new PhysicalAddress(hash[..6].ToArray());
    }

    /// <summary>Unicast and not zero.</summary>
    public static bool IsGuestMac(PhysicalAddress mac)
    {
        byte[] bytes = mac.GetAddressBytes();
        return bytes.Length == 6 && (bytes[0] & 1) == 0 && bytes.AsSpan().ContainsAnyExcept((byte)0);
    }

    /// <summary>The kernel keeps at most 255 bytes (IFALIASZ) and refuses more.</summary>
    public static string Alias(string text)
    {
        string alias = $"kcore:1 {text}";
        return Encoding.UTF8.GetByteCount(alias) <= 255 ? alias : "kcore:1";
    }
}
