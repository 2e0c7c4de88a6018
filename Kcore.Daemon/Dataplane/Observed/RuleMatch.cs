using System.Globalization;
using System.Text.Json;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>A packet of ours, as far as it is known beforehand; what is null may be anything.</summary>
/// <param name="State">What connection tracking says of it: new, established or untracked.</param>
internal sealed record ProbePacket(string? In, string? Out, string? Protocol, int? DestinationPort, string State)
{
    /// <summary>IPv4 unless this is set.</summary>
    public bool V6 { get; init; }
}

/// <summary>Whether a foreign rule's question is answered yes by a packet. What cannot be told is null. Pure.</summary>
internal static class RuleMatch
{
    /// <param name="specific">Set when a question about the device or the port was answered yes: the rule is about packets like this one.</param>
    public static bool? Match(JsonElement match, ProbePacket packet, ref bool specific)
    {
        if (!match.TryGetProperty("left", out JsonElement left) || !match.TryGetProperty("right", out JsonElement right))
        {
            return null;
        }

        (Field field, string? value) = Known(left, packet);
        bool? equal = value is null ? null : IsAmong(value, right, field);
        string op = match.TryGetProperty("op", out JsonElement o) && o.ValueKind == JsonValueKind.String ? o.GetString()! : "==";
        bool? result = op switch
        {
            "==" or "in" => equal,
            "!=" => !equal,
            _ => null,
        };
        specific |= result == true && op != "!=" && (field is Field.Device or Field.Port);
        return result;
    }

    /// <summary>What a verdict map leads to for this packet: the entry, or null when none or when that cannot be told.</summary>
    public static JsonElement? Lookup(JsonElement map, ProbePacket packet)
    {
        if (!map.TryGetProperty("key", out JsonElement key)
            || !map.TryGetProperty("data", out JsonElement data)
            || data.ValueKind != JsonValueKind.Object
            || !data.TryGetProperty("set", out JsonElement entries)
            || entries.ValueKind != JsonValueKind.Array
            || Known(key, packet) is not (var field, { } value))
        {
            return null;
        }

        foreach (JsonElement entry in entries.EnumerateArray())
        {
            if (entry.ValueKind == JsonValueKind.Array && entry.GetArrayLength() == 2 && IsAmong(value, entry[0], field) == true)
            {
                return entry[1];
            }
        }

        return null;
    }

    private enum Field
    {
        Other,
        Device,
        Port,
        Protocol,
    }

    private static (Field Field, string? Value) Known(JsonElement left, ProbePacket packet)
    {
        if (left.ValueKind != JsonValueKind.Object)
        {
            return (Field.Other, null);
        }

        if (left.TryGetProperty("meta", out JsonElement meta))
        {
            return Text(meta, "key") switch
            {
                "iifname" or "iif" => (Field.Device, packet.In),
                "oifname" or "oif" => (Field.Device, packet.Out),
                "l4proto" => (Field.Protocol, packet.Protocol),
                "nfproto" => (Field.Other, packet.V6 ? "ipv6" : "ipv4"),
                "protocol" => (Field.Other, packet.V6 ? "ip6" : "ip"),
                _ => (Field.Other, null),
            };
        }

        if (left.TryGetProperty("ct", out JsonElement ct))
        {
            return Text(ct, "key") == "state" ? (Field.Other, packet.State) : (Field.Other, null);
        }

        if (!left.TryGetProperty("payload", out JsonElement payload))
        {
            return (Field.Other, null);
        }

        string protocol = Text(payload, "protocol");
        string field = Text(payload, "field");
        return (protocol, field) switch
        {
            // A port of another protocol is no port of this packet.
            ("udp" or "tcp" or "sctp" or "dccp" or "udplite", _) when packet.Protocol is not null && packet.Protocol != protocol => (Field.Other, "none"),
            ("udp" or "tcp" or "th", "dport") => (Field.Port, packet.DestinationPort?.ToString(CultureInfo.InvariantCulture)),
            ("ip", "protocol") or ("ip6", "nexthdr") => (Field.Protocol, packet.Protocol),
            ("ip", _) when packet.V6 => (Field.Other, "none"),
            ("ip6", _) when !packet.V6 => (Field.Other, "none"),
            _ => (Field.Other, null),
        };
    }

    private static bool? IsAmong(string value, JsonElement right, Field field)
    {
        switch (right.ValueKind)
        {
            case JsonValueKind.String:
                string text = right.GetString()!;
                return text.StartsWith('@') ? null
                    : field == Field.Device && text.EndsWith('*') ? value.StartsWith(text[..^1], StringComparison.Ordinal)
                    : string.Equals(value, text, StringComparison.Ordinal) || IsSameProtocol(value, text, field);
            case JsonValueKind.Number:
                string number = right.GetRawText();
                return string.Equals(value, number, StringComparison.Ordinal) || IsSameProtocol(value, number, field);
            case JsonValueKind.Array:
                return Any(value, right, field);
            case JsonValueKind.Object when right.TryGetProperty("set", out JsonElement set):
                return set.ValueKind == JsonValueKind.Array ? Any(value, set, field) : IsAmong(value, set, field);
            case JsonValueKind.Object when right.TryGetProperty("range", out JsonElement range) && range.ValueKind == JsonValueKind.Array && range.GetArrayLength() == 2:
                return value == "none" ? false
                    : range[0].ValueKind == JsonValueKind.Number && range[1].ValueKind == JsonValueKind.Number
                        && long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long n)
                        && range[0].TryGetInt64(out long first) && range[1].TryGetInt64(out long last)
                    ? n >= first && n <= last
                    : null;
            default:
                return value == "none" ? false : null;
        }
    }

    private static bool? Any(string value, JsonElement list, Field field)
    {
        bool? result = false;
        foreach (JsonElement item in list.EnumerateArray())
        {
            bool? one = IsAmong(value, item, field);
            if (one == true)
            {
                return true;
            }

            result = one is null ? null : result;
        }

        return result;
    }

    private static bool IsSameProtocol(string value, string text, Field field) =>
        field == Field.Protocol && (value, text) is ("udp", "17") or ("tcp", "6") or ("icmp", "1");

    private static string Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()!
            : "";
}
