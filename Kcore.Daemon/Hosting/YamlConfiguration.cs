using Microsoft.Extensions.Configuration;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Kcore.Daemon.Hosting;

/// <summary>Reads <c>kcored.yaml</c> into configuration keys: <c>node: { dataDir: … }</c> becomes <c>node:dataDir</c>.</summary>
internal static class YamlConfiguration
{
    /// <summary>Larger than any honest configuration, small enough to read whole.</summary>
    private const long MaxBytes = 256 * 1024;

    private static readonly Dictionary<string, string[]> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        [NodeOptions.Section] = KeysOf<NodeOptions>(),
        [ClusterOptions.Section] = KeysOf<ClusterOptions>(),
        [MembershipOptions.Section] = KeysOf<MembershipOptions>(),
        [DataplaneOptions.Section] = KeysOf<DataplaneOptions>(),
    };

    private static IEnumerable<string> SectionNames => Known.Keys.Select(SettingName.Camel).Order(StringComparer.Ordinal);

    /// <exception cref="ConfigurationException">The file is missing, too large, not YAML, or names a setting that does not exist.</exception>
    public static IConfigurationBuilder AddKcoreYaml(this IConfigurationBuilder builder, string path)
    {
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        try
        {
            var info = new FileInfo(path);
            if (info.Exists && info.Length > MaxBytes)
            {
                throw new ConfigurationException($"{path}: larger than {MaxBytes} bytes");
            }

            using StreamReader reader = File.OpenText(path);
            var stream = new YamlStream();
            stream.Load(reader);
            foreach (YamlDocument document in stream.Documents)
            {
                if (document.RootNode is not YamlMappingNode root)
                {
                    throw new ConfigurationException($"{path}: expected sections ({string.Join(", ", SectionNames)}), each with its settings");
                }

                foreach ((YamlNode section, YamlNode body) in root.Children)
                {
                    ReadSection(path, section.ToString(), body, values);
                }
            }
        }
        catch (Exception e) when (e is YamlException or IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"{path}: {e.Message}");
        }

        return builder.AddInMemoryCollection(values);
    }

    private static void ReadSection(string path, string section, YamlNode body, Dictionary<string, string?> values)
    {
        if (!Known.TryGetValue(section, out string[]? keys))
        {
            throw new ConfigurationException($"{path}: unknown section '{section}'; known: {string.Join(", ", SectionNames)}");
        }

        if (body is not YamlMappingNode settings)
        {
            if (body is YamlScalarNode { Value: null or "" })
            {
                return;
            }

            throw new ConfigurationException($"{path}: '{section}' must hold settings");
        }

        foreach ((YamlNode key, YamlNode value) in settings.Children)
        {
            if (!keys.Contains(key.ToString(), StringComparer.OrdinalIgnoreCase))
            {
                throw new ConfigurationException($"{path}: unknown setting '{section}.{key}'; known: {string.Join(", ", keys)}");
            }

            values[$"{section}:{key}"] = value switch
            {
                YamlScalarNode scalar => scalar.Value,

                // A list is the comma-separated value that flag and environment spell (cluster.join).
                YamlSequenceNode list when list.Children.All(c => c is YamlScalarNode) => string.Join(',', list.Children),
                _ => throw new ConfigurationException($"{path}: '{section}.{key}' must be a single value or a list of values"),
            };
        }
    }

    private static string[] KeysOf<T>() =>
        [.. typeof(T).GetProperties().Select(p => SettingName.Camel(p.Name)).Order(StringComparer.Ordinal)];
}

/// <summary>The daemon cannot start with what it was told; the message says which setting and why.</summary>
internal sealed class ConfigurationException(string message) : Exception(message);
