using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Kcore.Daemon.Tests.Architecture;

/// <summary>What holds for the repository as a whole.</summary>
public sealed partial class ProjectTests
{
    private const int MaxLines = 500;

    private static readonly string[] Vague = ["Manager", "Helper", "Util", "Common"];

    public static TheoryData<string, string[]> Arrows => new()
    {
        { "Kcore.Contracts", [] },
        { "Kcore.Gossip", [] },
        { "Kcore.Raft", [] },
        { "Kcore.Netlink", [] },
        { "Kcore.Ctl", ["Kcore.Contracts"] },
        { "Kcore.Daemon", ["Kcore.Contracts", "Kcore.Gossip", "Kcore.Netlink", "Kcore.Raft"] },
    };

    [Theory]
    [MemberData(nameof(Arrows))]
    public void A_project_refers_to_those_the_design_draws_an_arrow_to_and_no_others(string project, string[] to) => Assert.Equal(
        to,
        Elements(project, "ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value)).Order(StringComparer.Ordinal));

    [Fact]
    public void Every_project_beside_the_known_ones_would_be_noticed() => Assert.Equal(
        Repository.Projects,
        Directory.EnumerateFiles(Repository.Root, "Kcore.*.csproj", SearchOption.AllDirectories)
            .Where(p => Path.GetRelativePath(Repository.Root, p).Split('/') is [var folder, _] && folder == Path.GetFileNameWithoutExtension(p))
            .Select(p => Path.GetFileNameWithoutExtension(p))
            .Order(StringComparer.Ordinal));

    [Fact]
    public void Only_the_kernel_project_may_be_unsafe() =>
        Assert.Equal(["Kcore.Netlink"], Repository.Projects.Where(p => Elements(p, "AllowUnsafeBlocks").Any(e => e.Value == "true")));

    [Fact]
    public void The_pure_projects_are_held_to_it() =>
        Assert.Equal(["Kcore.Gossip", "Kcore.Raft"], Repository.Projects.Where(p => Elements(p, "KcorePure").Any(e => e.Value == "true")));

    [Fact]
    public void The_pure_projects_use_no_packages_but_those_that_only_compute() =>
        Assert.All(["Kcore.Gossip", "Kcore.Raft", "Kcore.Contracts"], project => Assert.Empty(Elements(project, "PackageReference")));

    [Fact]
    public void A_type_is_named_after_the_one_thing_it_is() => Assert.Empty(
        from project in Repository.Projects
        from path in Repository.Sources(project)
        from Match type in TypeName().Matches(Repository.Read(path))
        where Vague.Any(type.Groups["name"].Value.Contains)
        select $"{path}: {type.Groups["name"].Value}");

    [Fact]
    public void No_source_is_longer_than_a_reader_can_hold() => Assert.Empty(
        from project in Repository.Projects
        from path in Repository.Sources(project)
        let lines = File.ReadLines(Path.Combine(Repository.Root, path)).Count()
        where lines > MaxLines
        select $"{path}: {lines} lines");

    private static IEnumerable<XElement> Elements(string project, string name) =>
        XDocument.Load(Path.Combine(Repository.Root, project, project + ".csproj")).Descendants(name);

    [GeneratedRegex(@"\b(class|struct|interface|enum|record) (?<name>[A-Z]\w*)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex TypeName();
}
