using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Text.Json;
using System.Text.Json.Serialization;
using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Ipam.Attachments;

/// <summary>
/// A NIC this node was asked for, from the first call until its address is released. Stored before anybody is asked for
/// an address: the attachment id is what makes asking twice harmless.
/// </summary>
internal sealed record AttachmentRecord
{
    public required UInt128 Id { get; init; }

    public required UInt128 Network { get; init; }

    public required string NetworkName { get; init; }

    public required string Name { get; init; }

    public required PhysicalAddress Mac { get; init; }

    /// <summary>Host-side device.</summary>
    public required string Device { get; init; }

    /// <summary>Absolute path; null for a TAP.</summary>
    public string? Netns { get; init; }

    public string? Ifname { get; init; }

    /// <summary>The address the user asked for.</summary>
    public IPAddress? Wanted { get; init; }

    /// <summary>The lease; null until committed.</summary>
    public IPAddress? Address { get; init; }

    /// <summary>
    /// The address is of this node's emergency reserve and was granted to it at this log index; null once the log has made
    /// it a lease, and for all other addresses.
    /// </summary>
    public ulong? Grant { get; init; }

    /// <summary>The attachment an address was asked for in vain before this one got one from the reserve.</summary>
    public UInt128? Instead { get; init; }

    /// <summary>The user has detached it: the data plane takes the device away, the lease loop gives the address back and then forgets the record.</summary>
    public bool Releasing { get; init; }

    /// <summary>On a network of this node alone: its address is this node's to give, and no log is asked.</summary>
    public bool Local { get; init; }

    /// <summary>The user lets the guest send in other names than its own.</summary>
    public bool AllowSpoofing { get; init; }

    /// <summary>The move for which the device is here already while the NIC is still another node's; null for a NIC of this node.</summary>
    public UInt128? PreparedFor { get; init; }

    /// <summary>Raft index at which the NIC was handed over to this node; 0 for one that was attached here.</summary>
    public ulong Since { get; init; }

    public string Key => FactKeys.Hex(Id);
}

/// <summary>Records as JSON in the state database.</summary>
internal static class AttachmentJson
{
    public static byte[] Write(AttachmentRecord r) => JsonSerializer.SerializeToUtf8Bytes(
        new Row(
            FactKeys.Hex(r.Id), FactKeys.Hex(r.Network), r.NetworkName, r.Name, r.Mac.ToString(), r.Device, r.Netns, r.Ifname,
            r.Wanted?.ToString(), r.Address?.ToString(), r.Releasing, r.Local, r.AllowSpoofing,
            r.Grant, r.Instead is { } instead ? FactKeys.Hex(instead) : null,
            r.PreparedFor is { } move ? FactKeys.Hex(move) : null, r.Since),
        RowContext.Default.Row);

    /// <summary>Null when the row is damaged.</summary>
    public static AttachmentRecord? Read(byte[] json)
    {
        try
        {
            if (JsonSerializer.Deserialize(json, RowContext.Default.Row) is not { } row)
            {
                return null;
            }

            return new AttachmentRecord
            {
                Id = UInt128.Parse(row.Id, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                Network = UInt128.Parse(row.Network, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                NetworkName = row.NetworkName,
                Name = row.Name,
                Mac = PhysicalAddress.Parse(row.Mac),
                Device = row.Device,
                Netns = row.Netns,
                Ifname = row.Ifname,
                Wanted = row.Wanted is null ? null : IPAddress.Parse(row.Wanted),
                Address = row.Address is null ? null : IPAddress.Parse(row.Address),
                Releasing = row.Releasing,
                Local = row.Local,
                AllowSpoofing = row.AllowSpoofing,
                Grant = row.Grant,
                Instead = row.Instead is null ? null : UInt128.Parse(row.Instead, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                PreparedFor = row.PreparedFor is null ? null : UInt128.Parse(row.PreparedFor, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                Since = row.Since,
            };
        }
        catch (Exception e) when (e is JsonException or FormatException or OverflowException)
        {
            return null;
        }
    }

    internal sealed record Row(
        string Id, string Network, string NetworkName, string Name, string Mac, string Device, string? Netns, string? Ifname,
        string? Wanted, string? Address, bool Releasing, bool Local = false, bool AllowSpoofing = false,
        ulong? Grant = null, string? Instead = null, string? PreparedFor = null, ulong Since = 0);
}

[JsonSourceGenerationOptions(RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(AttachmentJson.Row))]
internal sealed partial class RowContext : JsonSerializerContext;
