using System.Text.RegularExpressions;
using Kcore.Daemon.Hosting;

namespace Kcore.Daemon.Tests.Hosting;

/// <summary>The configuration file of the package: it changes nothing, and what it says about the defaults is true.</summary>
public sealed partial class ShippedConfigurationTests : IDisposable
{
    private static readonly (string Section, Type Type)[] Sections =
        [("node", typeof(NodeOptions)), ("cluster", typeof(ClusterOptions)), ("membership", typeof(MembershipOptions)), ("dataplane", typeof(DataplaneOptions))];

    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void As_shipped_it_changes_nothing() =>
        AssertDefaults(DaemonOptions.Load(Shipped(), []));

    [Fact]
    public void What_is_commented_out_and_not_an_example_is_the_default()
    {
        File.WriteAllText(_file, string.Join('\n', Lines().Select(line => IsExample(line) ? line : Uncomment(line))));
        AssertDefaults(DaemonOptions.Load(_file, []));
    }

    [Fact]
    public void Every_setting_is_there_with_its_variable_and_a_value_the_daemon_takes()
    {
        string[] expected = [.. Sections.SelectMany(s => s.Type.GetProperties().Select(p => $"KCORE_{s.Section}__{p.Name}".ToUpperInvariant()))];
        string[] named = [.. Lines().Select(line => Variable().Match(line)).Where(m => m.Success).Select(m => m.Groups["variable"].Value)];
        Assert.Equal(expected.Order(StringComparer.Ordinal), named.Order(StringComparer.Ordinal));

        // An unknown key or a refused value throws.
        string everything = string.Join('\n', Lines().Select(Uncomment));
        File.WriteAllText(_file, everything);
        DaemonOptions.Load(_file, []);
        Assert.Equal(expected.Length, Lines().Count(line => Setting().IsMatch(line)));
    }

    private static void AssertDefaults(DaemonOptions options)
    {
        object[] seen = [options.Node, options.Cluster, options.Membership, options.Dataplane];
        foreach (object section in seen)
        {
            object untouched = Activator.CreateInstance(section.GetType())!;
            foreach (System.Reflection.PropertyInfo property in section.GetType().GetProperties())
            {
                Assert.Equal((property.Name, property.GetValue(untouched)), (property.Name, property.GetValue(section)));
            }
        }
    }

    private static string Shipped()
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Kcore.sln")))
        {
            directory = directory.Parent;
        }

        return Path.Combine(directory?.FullName ?? "/", "packaging/config/kcored.yaml");
    }

    private static string[] Lines() => File.ReadAllLines(Shipped());

    private static bool IsExample(string line) => line.EndsWith("# e.g.", StringComparison.Ordinal);

    private static string Uncomment(string line) => Setting().Replace(line, "  ${setting}");

    // A setting has no blank after the hash, prose has one.
    [GeneratedRegex("^  #(?<setting>[A-Za-z]+:)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Setting();

    [GeneratedRegex("^  # (?<variable>KCORE_[A-Z]+__[A-Z]+)(, --[a-z-]+)?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Variable();
}
