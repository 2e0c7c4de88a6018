using System.Reflection;
using System.Text.RegularExpressions;
using Kcore.Daemon.Hosting;

namespace Kcore.Daemon.Tests.Architecture;

/// <summary>The rooms of the daemon stand on each other in one order; nothing below knows what stands above.</summary>
public sealed partial class RoomTests
{
    private const string Daemon = "Kcore.Daemon";

    /// <summary>A room may use those before it. What lies outside of rooms (Program, Node) puts them together and may use all.</summary>
    private static readonly string[] BottomToTop =
    [
        "Systemd", "Reconciliation", "Storage", "Hosting", "Cluster", "Catalog", "Ipam", "Dataplane", "Dhcp", "Vm", "Api",
    ];

    private static readonly Assembly Assembly = typeof(DaemonOptions).Assembly;

    [Fact]
    public void Code_uses_only_rooms_below_its_own() => Assert.Empty(
        from type in Assembly.GetTypes()
        let room = RoomOf(type.Namespace)
        where room is not null
        from used in TypeReferences.Of(type)
        let other = RoomOf(used.Namespace)
        where IsForbidden(room, other)
        select $"{type.FullName} ({room}) uses {used.FullName} ({other})");

    // Constants leave no trace in the compiled code, but in the text.
    [Fact]
    public void Sources_import_only_rooms_below_their_own() => Assert.Empty(
        from path in Repository.Sources(Daemon)
        where path.Split('/') is { Length: > 2 }
        let room = path.Split('/')[1]
        from Match import in Import().Matches(Repository.Read(path))
        let other = import.Groups["room"].Value
        where IsForbidden(room, other)
        select $"{path}: {import.Value}");

    [Fact]
    public void Every_room_has_its_place_in_the_order() => Assert.Empty(
        Assembly.GetTypes().Select(t => RoomOf(t.Namespace)).OfType<string>().Distinct().Except(BottomToTop));

    [Fact]
    public void A_source_lies_in_the_room_its_namespace_says() => Assert.Empty(
        from path in Repository.Sources(Daemon)
        let folder = Path.GetDirectoryName(path)!.Replace('/', '.')
        where Namespace().Match(Repository.Read(path)) is { Success: true } found && found.Groups["name"].Value != folder
        select path);

    [Fact]
    public void The_scan_sees_what_code_uses()
    {
        // What Node puts together is known, so a scan that went blind would be noticed here.
        Type[] machines = [.. Assembly.GetTypes().Where(t => t.FullName!.StartsWith($"{Daemon}.Node+", StringComparison.Ordinal) || t.FullName == $"{Daemon}.Node")];
        HashSet<string?> used = [.. machines.SelectMany(TypeReferences.Of).Select(t => RoomOf(t.Namespace))];

        Assert.Superset(new HashSet<string?> { "Systemd", "Storage", "Hosting", "Cluster", "Catalog", "Ipam", "Dataplane", "Api" }, used);
    }

    private static bool IsForbidden(string? room, string? other) =>
        room is not null && other is not null && room != other && Array.IndexOf(BottomToTop, other) >= Array.IndexOf(BottomToTop, room);

    private static string? RoomOf(string? name) =>
        name?.StartsWith(Daemon + ".", StringComparison.Ordinal) == true ? name[(Daemon.Length + 1)..].Split('.')[0] : null;

    [GeneratedRegex(@"Kcore\.Daemon\.(?<room>[A-Z]\w*)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Import();

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Namespace();
}
