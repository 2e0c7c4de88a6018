using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;

namespace Kcore.Daemon.Hosting;

/// <summary>Everything the daemon can be told, from file, environment and flags; a later one wins.</summary>
internal sealed record DaemonOptions(NodeOptions Node, ClusterOptions Cluster, DataplaneOptions Dataplane)
{
    private const string EnvironmentPrefix = "KCORE_";

    public MembershipOptions Membership { get; init; } = new();

    /// <exception cref="ConfigurationException">All that is wrong with it, a line each.</exception>
    public static DaemonOptions Load(string? file, Dictionary<string, string?> flags)
    {
        var builder = new ConfigurationBuilder();
        if (file is not null)
        {
            builder.AddKcoreYaml(file);
        }

        IConfigurationRoot configuration = builder.AddEnvironmentVariables(EnvironmentPrefix).AddInMemoryCollection(flags).Build();
        var problems = new List<string>();
        var options = new DaemonOptions(
            Bind(configuration, NodeOptions.Section, new NodeOptions(), problems),
            Bind(configuration, ClusterOptions.Section, new ClusterOptions(), problems),
            Bind(configuration, DataplaneOptions.Section, new DataplaneOptions(), problems))
        {
            Membership = Bind(configuration, MembershipOptions.Section, new MembershipOptions(), problems),
        };
        return problems.Count == 0 ? options : throw new ConfigurationException(string.Join(Environment.NewLine, problems));
    }

    private static T Bind<T>(IConfiguration configuration, string section, T options, List<string> problems)
        where T : class
    {
        // One by one: a value that cannot be read must not hide what is wrong with the others.
        foreach (PropertyInfo property in typeof(T).GetProperties())
        {
            // An empty value is the way to say "not given" in a file of variables.
            if (configuration[$"{section}:{property.Name}"] is not { Length: > 0 } text)
            {
                continue;
            }

            if (TryConvert(text, property.PropertyType, out object? value))
            {
                property.SetValue(options, value);
            }
            else
            {
                string expected = property.PropertyType == typeof(bool) ? "true or false" : "a number";
                problems.Add($"{SettingName.Of(section, property.Name)}: {expected}, not '{text}'");
            }
        }

        var results = new List<ValidationResult>();
        if (!Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true))
        {
            problems.AddRange(results.Select(r => r.ErrorMessage ?? "invalid setting"));
        }

        return options;
    }

    private static bool TryConvert(string text, Type type, out object? value)
    {
        value = type switch
        {
            _ when type == typeof(string) => text,
            _ when type == typeof(int) && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) => number,
            _ when type == typeof(bool) && bool.TryParse(text, out bool flag) => flag,
            _ => null,
        };
        return value is not null;
    }
}

/// <summary>How a setting is written in the file: <c>node.dataDir</c>.</summary>
internal static class SettingName
{
    public static string Of(string section, string property) => $"{Camel(section)}.{Camel(property)}";

    public static string Camel(string name) => char.ToLowerInvariant(name[0]) + name[1..];
}
