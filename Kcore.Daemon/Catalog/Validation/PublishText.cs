using System.Collections.Immutable;
using System.Globalization;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Catalog.Validation;

/// <summary>Port rules as people write them: <c>8080:web-01:80</c>, <c>53:dns:53/udp</c> (behaviours 47 and 103).</summary>
internal static class PublishText
{
    private const string Form = "PORT:NIC:PORT, PORT:NIC:PORT/tcp or PORT:NIC:PORT/udp";

    /// <exception cref="RefusedException">InvalidArgument naming the field, or AlreadyExists for a port given twice.</exception>
    public static PortRules Parse(ImmutableArray<string> publish, ImmutableArray<int> allowedTcp, ImmutableArray<int> allowedUdp)
    {
        PublishRule[] rules =
        [
            .. Given(publish).Select(Rule),
            .. Given(allowedTcp).Select(p => new PublishRule(TransportProtocol.Tcp, Port(p, "allowedTcpPorts", $"{p}"), null, p)),
            .. Given(allowedUdp).Select(p => new PublishRule(TransportProtocol.Udp, Port(p, "allowedUdpPorts", $"{p}"), null, p)),
        ];
        if (rules.Length > PortRules.Max)
        {
            throw Invalid($"a network publishes at most {PortRules.Max} ports", $"given: {rules.Length}");
        }

        if (rules.GroupBy(r => (r.Protocol, r.Port)).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new RefusedException(
                ErrorCode.AlreadyExists,
                $"port {twice.Key.Port}/{twice.First().ProtocolName} is published twice",
                [.. twice.Select(r => r.ToString())],
                "give each port and protocol once");
        }

        // One spelling for one meaning: the order they were typed in makes no other network.
        return new PortRules([.. rules.OrderBy(r => r.Protocol).ThenBy(r => r.Port)]);
    }

    private static ImmutableArray<T> Given<T>(ImmutableArray<T> list) => list.IsDefault ? [] : list;

    private static PublishRule Rule(string text)
    {
        string trimmed = (text ?? "").Trim();
        if (trimmed.Length > 128 || trimmed.Split(':') is not [var port, var nic, var target])
        {
            throw Invalid($"publish must be {Form}", Shown(trimmed));
        }

        string[] parts = target.Split('/');
        TransportProtocol protocol = parts switch
        {
            [_] => TransportProtocol.Tcp,
            [_, var name] when name.Equals("tcp", StringComparison.OrdinalIgnoreCase) => TransportProtocol.Tcp,
            [_, var name] when name.Equals("udp", StringComparison.OrdinalIgnoreCase) => TransportProtocol.Udp,
            _ => throw Invalid("the protocol of a published port is tcp or udp", Shown(trimmed)),
        };
        return new PublishRule(protocol, Port(port, trimmed), ObjectName.Check(nic, "NIC"), Port(parts[0], trimmed));
    }

    private static int Port(string text, string rule) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) ? Port(port, "publish", rule) : throw Outside("publish", rule);

    private static int Port(int port, string field, string shown) => port is >= 1 and <= 65535 ? port : throw Outside(field, shown);

    private static RefusedException Outside(string field, string shown) => Invalid($"{field}: a port is a number from 1 to 65535", Shown(shown));

    private static string Shown(string text) => text.Length <= 64 ? text : text[..64] + "…";

    private static RefusedException Invalid(string message, string detail) => new(ErrorCode.InvalidArgument, message, [detail]);
}
