using System.Globalization;
using System.Net.NetworkInformation;
using System.Security.Cryptography;
using System.Text;

namespace Kcore.Daemon.Catalog.Naming;

/// <summary>
/// Everything that is named after a name: nodes that never exchanged a message derive the same values (behaviours 1 to 6).
/// </summary>
internal static class DerivedNames
{
    public const uint FirstVni = 10_000;
    public const uint VniCount = 6_000;

    /// <summary>What the names of all tunnel devices begin with, and of no guest's port.</summary>
    public const string TunnelNames = "vxlan";

    /// <summary>
    /// VNI of a network: 32-bit wrapping <c>h = h·33 + byte</c> from 5381 over the UTF-8 bytes (djb2),
    /// then 10000 + h mod 6000.
    /// </summary>
    public static uint Vni(string network)
    {
        uint hash = 5381;
        foreach (byte b in Encoding.UTF8.GetBytes(network))
        {
            hash = unchecked((hash * 33) + b);
        }

        return FirstVni + (hash % VniCount);
    }

    public static string VxlanDevice(uint vni) => string.Create(CultureInfo.InvariantCulture, $"{TunnelNames}{vni}");

    /// <summary><c>kbr-NAME</c> when the kernel takes it, else <c>kb-</c> and 8 hex digits; never a truncated name.</summary>
    public static string Bridge(string network) =>
        network.Length + 4 <= DeviceName.MaxLength ? "kbr-" + network : "kb-" + Hex8(network);

    /// <summary><c>PARENT.ID</c> when the kernel takes it, else <c>kvlID-</c> and 4 hex digits of the parent's SHA-256 (behaviour 8).</summary>
    public static string VlanDevice(string parent, int id)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"{parent}.{id}");
        return name.Length <= DeviceName.MaxLength ? name : string.Create(CultureInfo.InvariantCulture, $"kvl{id}-{Hex8(parent)[..4]}");
    }

    /// <summary>The name NIC <paramref name="index"/> of a VM is derived from: <c>vm</c>, <c>vm#1</c>, <c>vm#2</c>, …</summary>
    public static string NicSeed(string vm, int index) =>
        index == 0 ? vm : string.Create(CultureInfo.InvariantCulture, $"{vm}#{index}");

    public static string Tap(string nicSeed) => "tap-" + Hex8(nicSeed);

    /// <summary>Host side of the pair that leads into a namespace or container.</summary>
    public static string NamespacePort(string nicSeed) => "kv-" + Hex8(nicSeed);

    /// <summary>52:54:00 (QEMU's locally administered prefix) and the first three bytes of the seed's SHA-256.</summary>
    public static PhysicalAddress Mac(string nicSeed)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(nicSeed));
        return new PhysicalAddress([0x52, 0x54, 0x00, hash[0], hash[1], hash[2]]);
    }

    public static string MacText(PhysicalAddress mac) => string.Join(':', mac.GetAddressBytes().Select(b => b.ToString("x2", CultureInfo.InvariantCulture)));

    private static string Hex8(string text) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 4));
}
