using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net;
using System.Numerics;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;

namespace Kcore.Daemon.Catalog.Validation;

/// <summary>
/// Turns what a user typed into a network, or says what is wrong with it (behaviours 76 to 86). Looks at nothing but the request.
/// </summary>
internal static class NetworkRequest
{
    private const string DefaultNetmask = "255.255.255.0";

    /// <exception cref="RefusedException">InvalidArgument, naming the field.</exception>
    public static (string Name, NetworkSpec Spec) Check(CreateNetworkRequest request)
    {
        string name = ObjectName.Check(request.Name, "network");
        if (string.Equals(name, "default", StringComparison.OrdinalIgnoreCase))
        {
            throw Invalid("network name 'default' is reserved: every node has its own");
        }

        NetworkType type = Type(request.Type);
        if (request.EnableOutboundNat && request.NoOutboundNat)
        {
            throw Invalid("--enable-outbound-nat and --no-outbound-nat exclude each other", next: "give one of them, or none: outbound NAT is on unless the type is bridge");
        }

        if (request.VlanId is < 0 or > 4094)
        {
            throw Invalid($"vlan-id must be between 0 and 4094", $"vlan-id: {request.VlanId}");
        }

        if (type == NetworkType.Vxlan && request.VlanId != 0)
        {
            throw Invalid("a vxlan network takes no vlan-id: its frames travel inside UDP", $"vlan-id: {request.VlanId}");
        }

        if (string.IsNullOrWhiteSpace(request.GatewayIp))
        {
            throw Invalid("gateway-ip is required", next: "--gateway-ip A.B.C.D, an address of the network's subnet, for example 10.250.0.1");
        }

        uint gateway = Ipv4("gateway-ip", request.GatewayIp);
        IPAddress? external = string.IsNullOrWhiteSpace(request.ExternalIp) ? null : ToAddress(Ipv4("external-ip", request.ExternalIp));
        int prefix = Prefix(request.InternalNetmask);
        uint mask = uint.MaxValue << (32 - prefix);
        if ((gateway & ~mask) == 0 || (gateway & ~mask) == ~mask)
        {
            throw Invalid(
                "gateway-ip is the network or broadcast address of its subnet",
                $"gateway-ip: {ToAddress(gateway)}/{prefix}");
        }

        if (gateway >> 28 >= 0xe || gateway >> 24 is 0 or 127)
        {
            throw Invalid("gateway-ip is not an address hosts can have", $"gateway-ip: {ToAddress(gateway)}");
        }

        string? target = string.IsNullOrWhiteSpace(request.TargetNode) ? null : request.TargetNode.Trim();
        string? uplink = Uplink(request.Uplink);
        if (uplink is not null && (type == NetworkType.Vxlan || (type == NetworkType.Nat && request.VlanId == 0)))
        {
            throw Invalid($"a {NetworkSpec.NameOf(type)} network {(type == NetworkType.Nat ? "without vlan-id " : "")}takes no uplink", $"uplink: {uplink}");
        }

        PortRules ports = PublishText.Parse(request.Publish ?? [], request.AllowedTcpPorts ?? [], request.AllowedUdpPorts ?? []);
        if (type != NetworkType.Nat && !ports.Rules.IsEmpty)
        {
            throw Invalid("only a nat network publishes ports: guests of the others are reached at their own addresses", $"publish: {ports.Text}");
        }

        ImmutableArray<string> exclude = request.Exclude is { IsDefaultOrEmpty: false } given ? given : [];
        if (type != NetworkType.Vxlan && !exclude.IsEmpty)
        {
            throw Invalid("only a vxlan network takes exclude: the addresses of the others are not the cluster's to give", $"exclude: {Shown(exclude[0] ?? "")}");
        }

        AddressReuse reuse = Reuse(request.AddressReuse);
        if (type != NetworkType.Vxlan && reuse != AddressReuse.Never)
        {
            throw Invalid("only a vxlan network takes address-reuse: the addresses of the others are not the cluster's to give", $"address-reuse: {NetworkSpec.NameOf(reuse)}");
        }

        int reserve = request.EmergencyReserve ?? 0;
        if (reserve is < 0 or > NetworkSpec.EmergencyReserveMax)
        {
            throw Invalid($"emergency-reserve must be between 0 and {NetworkSpec.EmergencyReserveMax}: it is for each node", $"emergency-reserve: {reserve}");
        }

        if (type != NetworkType.Vxlan && reserve != 0)
        {
            throw Invalid("only a vxlan network takes emergency-reserve: guests of the others get their addresses without a quorum", $"emergency-reserve: {reserve}");
        }

        if (type == NetworkType.Bridge && request.EnableOutboundNat)
        {
            throw Invalid("a bridge network has no outbound NAT: its guests are on the uplink's own network");
        }

        if (type == NetworkType.Nat && request.NoOutboundNat)
        {
            throw Invalid("a nat network is one with outbound NAT", next: "--type vxlan or --type bridge");
        }

        Encryption encryption = EncryptionOf(request.Encryption);
        if (type != NetworkType.Vxlan && encryption != Encryption.None)
        {
            throw Invalid($"only a vxlan network takes encryption: frames of the others leave the host as they are", $"encryption: {encryption.ToString().ToLowerInvariant()}", "--type vxlan");
        }

        var spec = new NetworkSpec
        {
            Type = type,
            Gateway = ToAddress(gateway),
            PrefixLength = prefix,
            ExternalIp = external,
            VlanId = request.VlanId,
            OutboundNat = type != NetworkType.Bridge && !request.NoOutboundNat,
            TargetNode = target,
            Uplink = uplink,
            Ports = ports,
            Encryption = encryption,
            Reuse = reuse,
            EmergencyReserve = reserve,
        };
        if (MeshPool.Overlaps(spec.Subnet))
        {
            throw Invalid($"{MeshPool.Text} is kept for the tunnel addresses of encrypted networks", $"subnet: {spec.Subnet}");
        }

        spec = spec with { Excluded = ExcludeText.Parse(exclude, spec.Subnet, spec.Gateway) };
        CheckReserve(spec);
        return (name, spec);
    }

    /// <summary>Half of the addresses is what all nodes together may park; more for one node could never be.</summary>
    private static void CheckReserve(NetworkSpec spec)
    {
        uint gateway = AddressRange.ToNumber(spec.Gateway);
        uint network = AddressRange.ToNumber(spec.Subnet.BaseAddress), broadcast = network | (uint.MaxValue >> spec.PrefixLength);
        long size = (1L << (32 - spec.PrefixLength)) - 2 - spec.Excluded.Addresses()
            .Select(AddressRange.ToNumber)
            .Append(gateway)
            .Where(a => a != network && a != broadcast)
            .Distinct()
            .Count();
        if (spec.EmergencyReserve > size / 2)
        {
            throw Invalid(
                $"emergency-reserve {spec.EmergencyReserve} for each node is more than half of the {size} addresses guests can get",
                $"subnet: {spec.Subnet}",
                $"at most {size / 2} here, or a larger subnet with --internal-netmask; all nodes together never park more than half");
        }
    }

    private static string? Uplink(string? text) =>
        string.IsNullOrWhiteSpace(text) ? null
        : DeviceName.IsUsable(text.Trim()) ? text.Trim()
        : throw Invalid($"uplink must be a device name of 1 to {DeviceName.MaxLength} letters, digits, '.', '-' or '_'", $"uplink: {Shown(text)}");

    private static NetworkType Type(string? text) => (text ?? "nat").Trim().ToLowerInvariant() switch
    {
        "" or "nat" => NetworkType.Nat,
        "bridge" => NetworkType.Bridge,
        "vxlan" => NetworkType.Vxlan,
        _ => throw Invalid("type must be one of nat, bridge, vxlan", $"type: {Shown(text!)}"),
    };

    private static Encryption EncryptionOf(string? text) => (text ?? "none").Trim().ToLowerInvariant() switch
    {
        "" or "none" => Encryption.None,
        "wireguard" => Encryption.Wireguard,
        _ => throw Invalid("encryption must be one of none, wireguard", $"encryption: {Shown(text!)}"),
    };

    private static AddressReuse Reuse(string? text) => (text ?? "").Trim().ToLowerInvariant() switch
    {
        "" or "never" => AddressReuse.Never,
        "quarantine" => AddressReuse.Quarantine,
        _ => throw Invalid("address-reuse must be one of never, quarantine", $"address-reuse: {Shown(text!)}"),
    };

    private static int Prefix(string? netmask)
    {
        string text = string.IsNullOrWhiteSpace(netmask) ? DefaultNetmask : netmask.Trim();
        uint mask = Ipv4("internal-netmask", text);
        int ones = BitOperations.PopCount(mask);
        if (ones < 32 && mask << ones != 0)
        {
            throw Invalid("internal-netmask is not contiguous: its ones must come before its zeros", $"internal-netmask: {text}");
        }

        return ones is >= 8 and <= 30
            ? ones
            : throw Invalid("internal-netmask is not supported: 255.0.0.0 (/8) to 255.255.255.252 (/30) are", $"internal-netmask: {text} (/{ones})");
    }

    private static uint Ipv4(string field, string text)
    {
        text = text.Trim();
        if (Ipv4Text.TryParse(text, out IPAddress? address))
        {
            return BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
        }

        throw Invalid($"{field} is not an IPv4 address", $"{field}: {Shown(text)}");
    }

    private static IPAddress ToAddress(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return new IPAddress(bytes);
    }

    private static string Shown(string text) => text.Length <= 64 ? text : text[..64] + "…";

    private static RefusedException Invalid(string message, string? detail = null, string? next = null) =>
        new(ErrorCode.InvalidArgument, message, detail is null ? [] : [detail], next);
}
