using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>
/// What host-wide settings were before we changed them, on disk, so that they can be put back after any number of
/// restarts. Written before the setting is.
/// </summary>
internal sealed partial class SysctlJournal
{
    private const int FileMax = 64 * 1024;

    private readonly string _path;
    private Dictionary<string, SysctlMemory> _entries;

    private SysctlJournal(string path, Dictionary<string, SysctlMemory> entries)
    {
        _path = path;
        _entries = entries;
    }

    /// <summary>Old values by path below /proc/sys.</summary>
    public FrozenDictionary<string, string> Before =>
        _entries.ToFrozenDictionary(e => e.Key, e => e.Value.Before, StringComparer.Ordinal);

    /// <summary>
    /// A file that cannot be understood counts as empty: then nothing is restored, and the settings stay as they
    /// are, which breaks nobody.
    /// </summary>
    /// <exception cref="IOException">The file is there and cannot be read.</exception>
    public static SysctlJournal Open(string path)
    {
        FileInfo file = new(path);
        if (!file.Exists || file.Length > FileMax)
        {
            return new SysctlJournal(path, []);
        }

        try
        {
            return new SysctlJournal(
                path,
                JsonSerializer.Deserialize(File.ReadAllBytes(path), JournalJson.Default.DictionaryStringSysctlMemory) ?? []);
        }
        catch (JsonException)
        {
            return new SysctlJournal(path, []);
        }
    }

    /// <summary>What the first remembered value was stays: only that one was the host's own.</summary>
    public void Remember(string path, string before, string ours)
    {
        if (_entries.TryGetValue(path, out SysctlMemory? known) && known.Ours == ours)
        {
            return;
        }

        Save(new Dictionary<string, SysctlMemory>(_entries, StringComparer.Ordinal)
        {
            [path] = new SysctlMemory(known?.Before ?? before, ours),
        });
    }

    public SysctlMemory? Recall(string path) => _entries.GetValueOrDefault(path);

    public void Forget(string path)
    {
        Dictionary<string, SysctlMemory> rest = new(_entries, StringComparer.Ordinal);
        if (rest.Remove(path))
        {
            Save(rest);
        }
    }

    private void Save(Dictionary<string, SysctlMemory> entries)
    {
        if (entries.Count == 0)
        {
            // Nothing of ours is left: neither should the file be (behaviour 113).
            File.Delete(_path);
            _entries = entries;
            return;
        }

        string temporary = _path + ".new";
        using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write))
        {
            JsonSerializer.Serialize(stream, entries, JournalJson.Default.DictionaryStringSysctlMemory);
            stream.Flush(flushToDisk: true);
        }

        // The folder is not flushed: what loses a rename, a power failure, loses the settings as well.
        File.Move(temporary, _path, overwrite: true);
        _entries = entries;
    }

    [JsonSerializable(typeof(Dictionary<string, SysctlMemory>))]
    private sealed partial class JournalJson : JsonSerializerContext;
}

/// <param name="Before">The host's own value.</param>
/// <param name="Ours">What we wrote; when it is something else by now, somebody else decided, and it is not put back.</param>
internal sealed record SysctlMemory(string Before, string Ours);
