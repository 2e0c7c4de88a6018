using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Text;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Naming;

namespace Kcore.Daemon.Catalog.Validation;

/// <summary>A checked <see cref="AttachNicRequest"/>.</summary>
/// <param name="Netns">Absolute path of the namespace; null for a TAP.</param>
internal sealed record NicRequest(string Name, string Network, string? Netns, string? Ifname, IPAddress? Address, PhysicalAddress? Mac, bool AllowSpoofing)
{
    private const string DefaultIfname = "eth0";

    /// <exception cref="RefusedException">InvalidArgument, naming the field.</exception>
    public static NicRequest Check(AttachNicRequest request)
    {
        string name = ObjectName.Check(request.Name, "NIC");
        string network = ObjectName.Check(request.Network, "network");
        (string? netns, string? ifname) = CheckPlace(request.Netns, request.Ifname);
        return new NicRequest(name, network, netns, ifname, Ip(request.Ip), MacAddress(request.Mac), request.AllowSpoofing ?? false);
    }

    /// <summary>Where a NIC leads: path of the namespace and name inside, or nulls for a TAP.</summary>
    /// <exception cref="RefusedException">InvalidArgument, naming the field.</exception>
    public static (string? Netns, string? Ifname) CheckPlace(string? wantedNetns, string? wantedIfname)
    {
        string? netns = string.IsNullOrWhiteSpace(wantedNetns) ? null : NamespacePath(wantedNetns.Trim());
        string? ifname = string.IsNullOrWhiteSpace(wantedIfname) ? null : InterfaceName(wantedIfname.Trim());
        return netns is null && ifname is not null
            ? throw Invalid("--ifname names an interface inside a namespace; without --netns the NIC is a TAP", next: "add --netns NAME, or leave --ifname out")
            : (netns, netns is null ? null : ifname ?? DefaultIfname);
    }

    private static string NamespacePath(string text)
    {
        // In bytes: the facts that tell others about the NIC are bounded so.
        if (Encoding.UTF8.GetByteCount(text) > 255 || text.Any(c => char.IsControl(c)))
        {
            throw Invalid("netns is not a namespace name or path");
        }

        if (text.All(char.IsAsciiDigit))
        {
            return $"/proc/{text}/ns/net";
        }

        if (text[0] == '/')
        {
            return text;
        }

        return text is "." or ".." || text.Contains('/')
            ? throw Invalid("netns must be a name below /run/netns, an absolute path, or a process id", $"netns: {text}")
            : "/run/netns/" + text;
    }

    private static string InterfaceName(string text) =>
        DeviceName.IsUsable(text)
            ? text
            : throw Invalid($"ifname must be 1 to {DeviceName.MaxLength} letters, digits, '.', '-' or '_', and no name the kernel keeps");

    private static IPAddress? Ip(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return null;
        }

        return Ipv4Text.TryParse(text.Trim(), out IPAddress? address) ? address : throw Invalid("ip is not an IPv4 address");
    }

    private static PhysicalAddress? MacAddress(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return null;
        }

        string[] parts = text.Trim().Split(':');
        Span<byte> bytes = stackalloc byte[8];
        bool read = parts.Length == 6;
        for (int i = 0; read && i < 6; i++)
        {
            read = parts[i].Length == 2 && byte.TryParse(parts[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes[i]);
        }

        if (!read || (bytes[0] & 1) != 0 || BinaryPrimitives.ReadUInt64BigEndian(bytes) == 0)
        {
            throw Invalid("mac is not a unicast MAC address such as 52:54:00:12:34:56");
        }

        return new PhysicalAddress(bytes[..6].ToArray());
    }

    private static RefusedException Invalid(string message, string? detail = null, string? next = null) =>
        new(ErrorCode.InvalidArgument, message, detail is null ? [] : [detail], next);
}
