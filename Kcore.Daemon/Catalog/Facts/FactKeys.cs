using System.Globalization;
using System.Net;
using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.Facts;

/// <summary>Keys of the entries: one letter for the kind, then what makes it unique within its origin.</summary>
internal static class FactKeys
{
    public const string Node = "n";
    public const string Dissolved = "d";

    public static string Participation(UInt128 network) => "p" + Hex(network);

    public static string Nic(UInt128 attachment) => "i" + Hex(attachment);

    /// <param name="home">The one node a network of type nat or bridge is on. No name holds an '@'.</param>
    public static string Claim(string network, NodeId? home = null) => home is { } node ? $"c{network}@{Hex(node.Value)}" : "c" + network;

    public static string Pool(UInt128 network) => "o" + Hex(network);

    public static string Lease(UInt128 attachment) => "l" + Hex(attachment);

    public static string Admission(NodeId node) => "a" + node;

    public static string Removal(NodeId node) => "r" + node;

    public static string Mesh(NodeId node) => "w" + node;

    public static string Parked(UInt128 network, IPAddress address) => $"e{Hex(network)}{address}";

    public static string Move(UInt128 move) => "v" + Hex(move);

    public static string Hex(UInt128 id) => id.ToString("x32", CultureInfo.InvariantCulture);
}
