using System.Net;

namespace Kcore.Daemon.Catalog.Facts;

/// <summary>
/// The addresses tunnel endpoints have inside the encrypted mesh: the end of the space shared by carriers
/// (RFC 6598), which hosts and guests rarely have. Equal on all nodes for ever, so it is no setting.
/// </summary>
internal static class MeshPool
{
    public const int PrefixLength = 18;

    /// <summary>As nft and people spell it.</summary>
    public const string Text = "100.127.192.0/18";

    public static IPNetwork Network { get; } = IPNetwork.Parse(Text);

    public static bool Contains(IPAddress address) => Network.Contains(address);

    public static bool Overlaps(IPNetwork other) => Network.Contains(other.BaseAddress) || other.Contains(Network.BaseAddress);
}
