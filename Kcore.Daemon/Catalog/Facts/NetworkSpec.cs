using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Net;

namespace Kcore.Daemon.Catalog.Facts;

internal enum NetworkType
{
    Nat = 0,
    Bridge = 1,
    Vxlan = 2,
}

/// <summary>What other hosts on the way see of an overlay's frames. Numbers are on the wire.</summary>
internal enum Encryption
{
    /// <summary>Everything: VXLAN has no encryption of its own (RFC 7348 §7).</summary>
    None = 0,

    /// <summary>Nothing: its tunnel packets travel inside WireGuard and nowhere else.</summary>
    Wireguard = 1,
}

/// <summary>What a network is, validated. Value equality decides between "unchanged" and "immutable".</summary>
internal sealed record NetworkSpec
{
    /// <summary>Bound on <see cref="EmergencyReserve"/>.</summary>
    public const int EmergencyReserveMax = 64;

    public required NetworkType Type { get; init; }

    /// <summary>IPv4; the subnet is this address under <see cref="PrefixLength"/>.</summary>
    public required IPAddress Gateway { get; init; }

    /// <summary>8 to 30.</summary>
    public required int PrefixLength { get; init; }

    public IPAddress? ExternalIp { get; init; }

    /// <summary>0 for none, else 1 to 4094.</summary>
    public int VlanId { get; init; }

    public required bool OutboundNat { get; init; }

    public string? TargetNode { get; init; }

    /// <summary>Device of the node that a bridge network leads to, or that carries the VLAN; null is the gateway interface.</summary>
    public string? Uplink { get; init; }

    /// <summary>What arrives at the external address and goes to guests. Only for nat.</summary>
    public PortRules Ports { get; init; } = PortRules.None;

    /// <summary>Addresses of the subnet that guests never get. Only for vxlan.</summary>
    public AddressRanges Excluded { get; init; } = AddressRanges.None;

    /// <summary>Only for vxlan.</summary>
    public Encryption Encryption { get; init; }

    /// <summary>Whether an address that was given back is given again. Only for vxlan.</summary>
    public AddressReuse Reuse { get; init; }

    /// <summary>
    /// Addresses every node is granted in advance, to use while there is no quorum; 0 to <see cref="EmergencyReserveMax"/>.
    /// Only for vxlan.
    /// </summary>
    public int EmergencyReserve { get; init; }

    public IPNetwork Subnet
    {
        get
        {
            uint gateway = BinaryPrimitives.ReadUInt32BigEndian(Gateway.GetAddressBytes());
            uint mask = uint.MaxValue << (32 - PrefixLength);
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(bytes, gateway & mask);
            return new IPNetwork(new IPAddress(bytes), PrefixLength);
        }
    }

    public string Netmask
    {
        get
        {
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(bytes, uint.MaxValue << (32 - PrefixLength));
            return new IPAddress(bytes).ToString();
        }
    }

    public string EncryptionName => Encryption.ToString().ToLowerInvariant();

    public string TypeName => NameOf(Type);

    public static string NameOf(NetworkType type) => type.ToString().ToLowerInvariant();

    public static string NameOf(AddressReuse reuse) => reuse.ToString().ToLowerInvariant();

    /// <summary>Names of the fields in which two specs differ, as the manifest spells them (behaviour 91).</summary>
    public ImmutableArray<string> DifferencesFrom(NetworkSpec other)
    {
        ImmutableArray<string>.Builder fields = ImmutableArray.CreateBuilder<string>();
        Compare("type", TypeName, other.TypeName);
        Compare("gatewayIp", Gateway.ToString(), other.Gateway.ToString());
        Compare("internalNetmask", Netmask, other.Netmask);
        Compare("externalIp", ExternalIp?.ToString(), other.ExternalIp?.ToString());
        Compare("vlanId", VlanId.ToString(CultureInfo.InvariantCulture), other.VlanId.ToString(CultureInfo.InvariantCulture));
        Compare("enableOutboundNat", OutboundNat ? "true" : "false", other.OutboundNat ? "true" : "false");
        Compare("targetNode", TargetNode, other.TargetNode);
        Compare("uplink", Uplink, other.Uplink);
        Compare("publish", Ports.Text, other.Ports.Text);
        Compare("exclude", Excluded.Text, other.Excluded.Text);
        Compare("encryption", EncryptionName, other.EncryptionName);
        Compare("addressReuse", NameOf(Reuse), NameOf(other.Reuse));
        Compare("emergencyReserve", EmergencyReserve.ToString(CultureInfo.InvariantCulture), other.EmergencyReserve.ToString(CultureInfo.InvariantCulture));
        return fields.DrainToImmutable();

        void Compare(string field, string? mine, string? theirs)
        {
            if (!string.Equals(mine, theirs, StringComparison.Ordinal))
            {
                fields.Add($"{field}: {theirs ?? "(none)"} -> {mine ?? "(none)"}");
            }
        }
    }
}
